"""``python -m usvi_bench.engine.defaults``: compare the defaults of all settings with the committed ones.

``--write`` adds settings that are new. A changed default needs a new format number; see
:mod:`usvi_bench.core.settings`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from usvi_bench.core.files import write_json
from usvi_bench.core.registry import ENCODERS, METHODS
from usvi_bench.core.settings import FOLDER, FORMAT, committed_defaults, flatten
from usvi_bench.engine.config import default_settings


def current_defaults() -> dict[str, Any]:
    """Collect the current defaults of all groups of settings and of every method and encoder of the suite."""
    groups = default_settings("untrained")
    del groups["method"]
    methods = {name: default_settings(name)["method"] for name in METHODS.own_names()}
    encoders = {name: default_settings("untrained", name)["encoder"] for name in ENCODERS.own_names()}
    for own in encoders.values():
        del own["name"]
    encoders["resnet50"]["width"] = 16  # without effect in older records; as a default, it stays out of their hashes
    methods["hil"]["instance_momentum"] = 0.25  # the former default; the hash of a run with the present one has it
    groups["train"]["amp"] = "off"  # the former name of train.precision, which older records have
    groups["encoder"] = {"name": groups["encoder"]["name"]}
    return {"settings": groups, "methods": methods, "encoders": encoders}


def compare_defaults(committed: dict[str, Any], current: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the names of changed or removed settings, and of new ones."""
    old, new = flatten(committed), flatten(current)
    return [name for name in old if name not in new or old[name] != new[name]], [n for n in new if n not in old]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the defaults; return 0 if they are equal or were written, else 1."""
    parser = argparse.ArgumentParser(prog="python -m usvi_bench.engine.defaults", description=__doc__)
    parser.add_argument("--write", action="store_true", help="add new settings to the file")
    options = parser.parse_args(arguments)
    path, current = FOLDER / f"{FORMAT}.json", current_defaults()
    changed, new = compare_defaults(committed_defaults(FORMAT) if path.exists() else {}, current)
    if changed:
        print(
            f"{path}: {', '.join(changed)} changed; raise FORMAT in core/settings.py, then run this with --write",
            file=sys.stderr,
        )
        return 1
    if new and options.write:
        write_json(path, current)
    elif new:
        print(f"{path}: {', '.join(new)} missing; run this with --write", file=sys.stderr)
    return int(bool(new) and not options.write)


if __name__ == "__main__":
    sys.exit(main())
