"""From ``--data`` to a data set: a path, generated people, or whichever of the two is at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from datasets.base import Dataset
from datasets.cache import cache_folder
from datasets.check import readers
from datasets.tree import TreeDataset
from engine.registry import DATASETS, UsageError

Progress = Callable[[str], None]
"""Told in words what goes on."""


def open_dataset(
    kind: str, spec: str, *, progress: Progress | None = None, check_counts: bool = True
) -> tuple[Dataset, str]:
    """The data set a run reads, and a sentence that says which it is.

    The sentence names no folder, so that a record that quotes it is equal wherever the images lie.

    Args:
        kind: registered name of the data set a protocol needs (``sysu``, ``regdb``).
        spec: ``auto`` (``USVI_DATA``, then ``data/<title>``, then generated people), ``synthetic[:size=...,seed=...]``,
            or the folder of the data set (or one that holds it under its usual name).
        progress: told which folder is read and why, and how far the generator is.
        check_counts: refuse images whose counts are not the expected ones.

    Raises:
        UsageError: a path is wrong, or holds another or an incomplete data set; generated images cannot be written.
    """
    reader: type[TreeDataset] = DATASETS.get(kind)
    say = progress or (lambda text: None)
    root: Path | None = None
    if spec == "auto":
        root = _at_hand(reader, say)
    elif spec.partition(":")[0] != "synthetic":
        root = _explicit(reader, Path(spec).expanduser(), f"--data {spec}")
    if root is None:
        root = _generated(reader, "synthetic" if spec == "auto" else spec, say)
    dataset = reader(root, expect_counts=check_counts)
    say(f"reading {root}")
    return dataset, _sentence(dataset, check_counts)


def _sentence(dataset: TreeDataset, check_counts: bool) -> str:
    if dataset.synthetic is not None:
        spec = dataset.synthetic.get("spec")
        knobs = (
            ", ".join(f"{name}={value}" for name, value in spec.items())
            if isinstance(spec, dict)
            else "of unknown kind"
        )
        return f"synthetic people in the layout of {dataset.title} ({knobs})"
    if check_counts:
        return f"{dataset.title}, the published images"
    return f"images in the layout of {dataset.title}, not checked against the published counts"


def _generated(reader: type[TreeDataset], spec: str, say: Progress) -> Path:
    from datasets.synthetic import ensure, parse  # here, because a real data set does not need the generator

    folder = cache_folder() / "synthetic"
    wanted = parse(spec)
    try:
        root: Path = ensure(reader.name, wanted, folder, say)  # type: ignore[arg-type]  # it refuses other layouts
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}; free some space or set USVI_CACHE") from error
    return root


def _at_hand(reader: type[TreeDataset], say: Progress) -> Path | None:
    """The folder of the real data set; None, and a word about it, where there is none."""
    usual = Path("data") / reader.title
    chosen = os.environ.get("USVI_DATA")
    if chosen:
        folder = Path(chosen).expanduser()
        if not folder.is_dir():
            raise UsageError(f"USVI_DATA={chosen} is not a folder; correct it, or unset it to use synthetic people")
        root = _below(reader, folder)
        if root is not None:
            return root
    if reader.recognises(usual):
        return usual
    say(f"using synthetic people: no {reader.title} in {usual} or in USVI_DATA ({chosen or 'not set'})")
    return None


def _explicit(reader: type[TreeDataset], folder: Path, said: str) -> Path:
    if not folder.is_dir():
        raise UsageError(f"{said}: no such folder; give the folder of {reader.title}, or 'synthetic'")
    root = _below(reader, folder)
    if root is not None:
        return root
    other = [known.title for known in readers() if _below(known, folder) is not None]
    found = f"it holds {other[0]}, not {reader.title}" if other else f"no {reader.title} there"
    raise UsageError(f"{said}: {found} (looked for {', '.join(reader.landmarks)}); see --check-data {folder}")


def _below(reader: type[TreeDataset], folder: Path) -> Path | None:
    """The folder itself, or the one inside it with the data set's name, whichever holds the layout."""
    return next((root for root in (folder, folder / reader.title) if reader.recognises(root)), None)
