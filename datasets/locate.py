"""Location of data trees near a folder that was named, and hints about folders that hold something else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_folder
from usvi_bench.datasets.entries import names_in
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.tree import TreeDataset

SCANNED = 1000
"""Number of folders in a folder that are examined."""
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
    inner = _inside(reader, folder)
    return inner[0] if len(inner) == 1 and not issubclass(reader, FolderData) else None


def explain_folder(path: Path, readers: Iterable[type[TreeDataset]]) -> list[str]:
    """Return hints about a folder that is no data tree: trees one level off, and arrays of other code bases."""
    known = list(readers)
    hints = [f"{root} holds {r.title}: give that folder" for r in known for root in _inside(r, path)[:3]]
    for parent in path.absolute().parents[:2] if not hints else ():
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


def _inside(reader: type[TreeDataset], folder: Path) -> list[Path]:
    """Return the folders in a folder that hold a layout, sorted."""
    found = []
    try:
        names = sorted(name for name in names_in(folder) if not name.startswith("."))
    except UsageError:  # a folder that cannot be read has an error of its own
        return []
    for name in names[:SCANNED]:
        try:
            if is_folder(folder / name) and reader.recognises(folder / name):
                found.append(folder / name)
        except UsageError:  # a folder of somebody else
            continue
    return found
