"""Location of data trees near a folder that was named, and hints about folders that hold something else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_folder, normalised
from usvi_bench.datasets.entries import names_in
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.tree import TreeDataset

SCANNED = 1000
"""Number of folders in a folder, or of one level below it, that are examined."""
DEEPEST = 3
"""Number of levels below a folder that are examined for hints."""
_PREPARED = "_resized_"
"""Part of the names of arrays that the pre-processing of AGW's code family writes (train_rgb_resized_img.npy ...)."""


def root_of(reader: type[TreeDataset], folder: Path) -> Path | None:
    """Return the folder that holds a layout: the given one, one of the data set's name in it, or the only one in it.

    Returns:
        None if no folder holds the layout. None also if several do and none of them has the data set's name.
    """
    for root in (folder, folder / reader.title):
        if reader.recognises(root):
            return root
    inner = trees_inside(reader, folder)
    return inner[0] if len(inner) == 1 and not issubclass(reader, FolderData) else None


def explain_folder(path: Path, readers: Iterable[type[TreeDataset]]) -> list[str]:
    """Return hints about a folder that is no data tree: trees one level off, and arrays of other code bases."""
    known = list(readers)
    found = [(root, r) for r in known for root in trees_inside(r, path)[:3]] or _deeper(known, path)
    hints = [f"{root} holds {r.title}: give that folder" for root, r in found]
    for parent in normalised(path).parents[:2] if not hints else ():
        above = [r for r in known if is_folder(parent) and r.recognises(parent)]
        hints += [f"it is inside {r.title}: give {parent}" for r in above[:1]]
        if above:
            break
    arrays = sorted(name for name in names_in(path) if name.endswith(".npy")) if is_folder(path) else []
    if arrays:
        prepared = [name for name in arrays if _PREPARED in name]
        what = "resized images and labels" if prepared else "arrays"
        hints.append(
            f"{(prepared or arrays)[0]:.80} holds {what} that another code base has prepared; this suite reads the "
            "original image files: give the folder of the original data set"
        )
    return hints


def _deeper(readers: Iterable[type[TreeDataset]], folder: Path) -> list[tuple[Path, type[TreeDataset]]]:
    """Return the trees on the first level from the second on that has any, at most three; links are not followed."""
    known, level = list(readers), [folder]
    for depth in range(DEEPEST):
        level = list(islice((inner for each in level for inner in _folders(each)), SCANNED))
        found = ((root, r) for root in level if depth for r in known if _recognises(r, root))
        if first := list(islice(found, 3)):
            return first
    return []


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without links and hidden ones; empty if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def _recognises(reader: type[TreeDataset], folder: Path) -> bool:
    try:
        return reader.recognises(folder)
    except UsageError:  # a folder of somebody else
        return False


def trees_inside(reader: type[TreeDataset], folder: Path) -> list[Path]:
    """Return the folders in a folder that hold a layout, sorted."""
    try:
        names = sorted(name for name in names_in(folder) if not name.startswith("."))
    except UsageError:  # a folder that cannot be read has an error of its own
        return []
    return [folder / name for name in names[:SCANNED] if _recognises(reader, folder / name)]
