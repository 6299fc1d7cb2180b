"""Pictures outside of a data set: files and plain folders of one modality, without identities and cameras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_file, is_folder
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.entries import image_names, names_in
from usvi_bench.datasets.own_images import SUFFIXES

UNKNOWN = -1
"""Identity and camera of a picture outside of a data set."""


def read_folder(folder: Path, modality: Modality) -> ImageTable:
    """List all pictures of a folder and of the folders below it; hidden ones and linked folders are left out.

    Raises:
        UsageError: a folder cannot be read, there is no picture, or a name is not printable.
    """
    names: list[str] = []
    waiting = [""]
    while waiting:
        place = waiting.pop()
        names += [f"{place}{name}" for name in image_names(folder / place, SUFFIXES)]
        for name in names_in(folder / place):
            inner = folder / place / name
            if not name.startswith(".") and is_folder(inner) and not inner.is_symlink():
                if not name.isprintable():
                    raise UsageError(f"the name of {os.fsencode(inner)!r} is not printable UTF-8; rename the folder")
                waiting.append(f"{place}{name}/")
    if not names:
        raise UsageError(f"{folder}: no picture there ({', '.join(SUFFIXES)}); give a folder of pictures")
    return table_of_names(folder, sorted(names), modality)


def read_paths(paths: Sequence[Path], modality: Modality) -> list[ImageTable]:
    """List the pictures of files and folders, a table for each path.

    Raises:
        UsageError: a path does not exist, or as for :func:`read_folder`.
    """
    tables = []
    for path in paths:
        there = is_folder(path) or is_file(path)
        if there and not str(path).isprintable():
            raise UsageError(f"{os.fsencode(path)!r:.300}: the path is not printable UTF-8; rename it")
        if is_folder(path):
            tables.append(read_folder(path, modality))
        elif is_file(path):
            tables.append(table_of_names(path.parent, [path.name], modality))
        else:
            raise UsageError(f"{str(path)!r:.300}: no such file or folder; give pictures, or folders of pictures")
    return tables


def table_of_names(root: Path, names: Sequence[str], modality: Modality) -> ImageTable:
    """Make a table of pictures below a folder, whose identities and cameras are unknown."""
    unknown = np.full(len(names), UNKNOWN, np.int64)
    return ImageTable(modality, root, tuple(names), unknown, unknown)
