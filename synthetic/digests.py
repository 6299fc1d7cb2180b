"""Digests of people, by which a machine that renders other bytes is noticed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_json
from usvi_bench.synthetic.spec import BOARD_SEED, DEVELOPMENT_SEEDS, GENERATOR_VERSIONS, SyntheticSpec
from usvi_bench.synthetic.tree import MANIFEST, ensure

KNOWN = Path(__file__).with_name("digests.json")
"""Digests of all image bytes, by the name of the folder, which contains the version and the specification."""
PEOPLE = (
    SyntheticSpec(size="tiny"),
    *(SyntheticSpec(size="small", seed=seed) for seed in (0, *DEVELOPMENT_SEEDS, BOARD_SEED)),
)
"""People whose digests are committed in every layout: of tests, of examples, of development and of the boards."""


@cache
def _known() -> dict[str, str]:
    found: dict[str, str] = json.loads(KNOWN.read_text())
    return found


def known_digest(layout: str, spec: SyntheticSpec) -> str | None:
    """Return the committed digest of people of the present version; None if there is none."""
    return _known().get(spec.folder(layout))


def other_bytes(note: Mapping[str, Any]) -> str:
    """Describe in one line how the digest of people differs from the committed one; empty if it does not.

    Args:
        note: content of ``synthetic.json``.
    """
    if GENERATOR_VERSIONS.get(note["layout"]) != note["generator_version"]:
        return ""
    try:
        known = known_digest(note["layout"], SyntheticSpec(**note["spec"]))
    except (TypeError, UsageError):
        return ""
    if known is None or known == note["bytes"]:
        return ""
    return (
        f"other images than everywhere else: these synthetic people have the digest {note['bytes'][:12]} instead of "
        f"{known[:12]}; scores cannot be compared with the boards (install Pillow as requirements.lock has it, and "
        "generate the people again)"
    )


def write_digests(progress: Callable[[str], None]) -> None:
    """Render the people without a committed digest, as after a new version of a layout, and write ``KNOWN`` anew."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for spec in PEOPLE:
            for layout in GENERATOR_VERSIONS:
                digest = known_digest(layout, spec)
                if digest is None:
                    tree = ensure(layout, spec, Path(folder), progress)  # type: ignore[arg-type]
                    digest = json.loads((tree / MANIFEST).read_text())["bytes"]
                found[spec.folder(layout)] = digest
    write_json(KNOWN, found)
