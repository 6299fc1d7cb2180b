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

Progress = Callable[[int, int], None]
"""Called with the number of images made so far, and of all."""


def open_dataset(
    kind: str, spec: str, *, progress: Progress | None = None, check_counts: bool = True
) -> tuple[Dataset, str]:
    """The data set a run reads, and one sentence that says which it is.

    Args:
        kind: registered name of the data set a protocol needs (``sysu``, ``regdb``).
        spec: ``auto`` (``USVI_DATA``, then ``data/<title>``, then generated people), ``synthetic[:size=...,seed=...]``,
            or the folder of the data set (or one that holds it under its usual name).
        progress: told how far the generator is.
        check_counts: refuse real images whose counts are not the published ones.

    Raises:
        UsageError: a path is wrong, holds another data set, or an incomplete one.
    """
    reader = _reader(kind)
    if spec == "auto":
        root, why = _at_hand(reader)
        if root is not None:
            return _real(reader, root, check_counts)
        return _synthetic(reader, "synthetic", progress, f", because {why}")
    if spec == "synthetic" or spec.startswith("synthetic:"):
        return _synthetic(reader, spec, progress, "")
    return _real(reader, _explicit(reader, Path(spec).expanduser(), f"--data {spec}"), check_counts)


def _reader(kind: str) -> type[TreeDataset]:
    reader: type[TreeDataset] = DATASETS.get(kind)
    return reader


def _real(reader: type[TreeDataset], root: Path, check_counts: bool) -> tuple[Dataset, str]:
    dataset = reader(root, expect_counts=check_counts)
    if dataset.synthetic is not None:
        return dataset, f"Data: synthetic people in the layout of {reader.title}, from {root}."
    unchecked = "" if check_counts else " (counts not checked against the published ones)"
    return dataset, f"Data: {reader.title} from {root}{unchecked}."


def _synthetic(reader: type[TreeDataset], spec: str, progress: Progress | None, why: str) -> tuple[Dataset, str]:
    from datasets.synthetic import ensure, parse  # here, because a real data set does not need the generator

    root = ensure(reader.name, parse(spec), cache_folder(), progress)
    knobs = spec.partition(":")[2]
    said = f" ({knobs})" if knobs else ""
    return reader(root), f"Data: generated synthetic people{said} in the layout of {reader.title}, from {root}{why}."


def _at_hand(reader: type[TreeDataset]) -> tuple[Path | None, str]:
    """The folder of the real data set, or None and the reason."""
    usual = Path("data") / reader.title
    chosen = os.environ.get("USVI_DATA")
    if chosen:
        folder = Path(chosen).expanduser()
        if not folder.is_dir():
            raise UsageError(f"USVI_DATA={chosen} is not a folder; correct it, or unset it to use synthetic people")
        root = _below(reader, folder)
        if root is not None:
            return root, ""
    if reader.recognises(usual):
        return usual, ""
    return None, f"neither USVI_DATA ({chosen or 'not set'}) nor {usual} holds {reader.title}"


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
