"""Tables of pictures for embedding: those of a data set of any kind, or of a plain folder of one modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from usvi_bench.core.errors import UsageError, show
from usvi_bench.core.paths import expanded, is_file, is_folder, normalised
from usvi_bench.core.types import MODALITIES, Modality
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.check import readers
from usvi_bench.datasets.fingerprint import content_hash
from usvi_bench.datasets.folder import UNKNOWN_CAMERA, FolderData
from usvi_bench.datasets.locate import trees_inside
from usvi_bench.datasets.open import find_data
from usvi_bench.datasets.own_folders import modality_folders
from usvi_bench.datasets.own_images import MODALITY_WORDS
from usvi_bench.datasets.pictures import UNKNOWN, read_folder
from usvi_bench.datasets.tree import TreeDataset

SPLITS = ("all", "train", "test")
"""Parts of a data set that can be embedded."""


@dataclass(frozen=True)
class PictureSource:
    """Source of pictures, opened.

    Attributes:
        tables: tables of the pictures, each picture once.
        fingerprint: content hash of the data set or folder.
        sentence: what was found.
    """

    tables: list[ImageTable]
    fingerprint: str
    sentence: str


def find_tables(
    data: str,
    *,
    modality: Modality | None = None,
    dataset: str | None = None,
    split: str = "all",
    progress: Callable[[str], None] | None = None,
) -> PictureSource:
    """Find the pictures of a data set or of a plain folder.

    Args:
        data: folder of a data set, ``synthetic[:size=...]``, a file that a reader opens, or a plain folder of pictures.
        modality: modality of a plain folder; for a data set, the only modality to take.
        dataset: registered name of the data set; found by its layout if None.
        split: ``all``, ``train`` or ``test`` images of all folds.
        progress: receives messages.

    Raises:
        UsageError: nothing is found, or the modality of a plain folder is not given.
    """
    path = expanded(data)
    name = dataset or _layout(data, path)
    if name is None:
        return _plain(path, modality, split)
    opened, sentence = find_data(name, data, progress=progress).open(progress=progress, check_counts=False)
    tables = [table for table in _tables(opened, split) if modality in (None, table.modality)]
    if not sum(map(len, tables)):
        raise UsageError(f"{data:.200}: no {modality or ''} images in the split '{split}'; choose another --split")
    return PictureSource(tables, opened.fingerprint, sentence)


def _layout(data: str, path: Path) -> str | None:
    """Return the registered name of the data set in a folder, or None for a plain folder."""
    if data.partition(":")[0] == "synthetic":
        return "sysu"
    if is_file(path):
        return FolderData.name
    if not is_folder(path):
        raise UsageError(f"{data[:200]!r}: no such folder; give a data set, 'synthetic', or a folder of pictures")
    names = [r.name for r in readers() if any(_holds(r, root) for root in (path, path / r.title))]
    if len(names) > 1:
        raise UsageError(f"{data:.200} can be read as {' and as '.join(names)}; choose one with --dataset")
    return names[0] if names else None


def _holds(reader: type[TreeDataset], root: Path) -> bool:
    """Return whether a folder has the layout of a reader; own images in ``visible`` and ``thermal`` are not RegDB."""
    return reader.recognises(root) and (issubclass(reader, FolderData) or not FolderData.recognises(root))


def _plain(path: Path, modality: Modality | None, split: str) -> PictureSource:
    if modality is None:
        raise UsageError(
            f"{path!s:.200} is a plain folder, not a known data set: give --modality visible or infrared, "
            "because each modality has its own first layers (see --check-data for data sets)"
        )
    _check_modality(path, modality)
    if split != "all":
        raise UsageError(f"--split {show(split)}: a plain folder has no splits; leave it out")
    table = read_folder(path, modality)
    sentence = f"{len(table)} {modality} pictures of unknown people"
    return PictureSource([table], content_hash(path, (), table.paths).content[:16], sentence)


def _check_modality(path: Path, modality: Modality) -> None:
    """Refuse a folder that has a data set in it, and one with the name of the other modality, itself or in it."""
    for reader in readers():
        for root in trees_inside(reader, path)[:1]:
            raise UsageError(f"{path!s:.200} is no folder of pictures: {root} holds {reader.title}; give that folder")
    found = {folder: own for _, own, folder in modality_folders(path)}
    found["."] = MODALITY_WORDS.get(normalised(path).name.lower(), modality)
    for folder, own in found.items():
        if own != modality:
            raise UsageError(
                f"{normalised(path / folder)}: the name is that of {own} pictures, but --modality is {modality}; give "
                "the modality of the folder, or rename it"
            )


def _tables(dataset: Dataset, split: str) -> list[ImageTable]:
    """Return the tables of all folds, each image once, visible tables first.

    Identities are unknown if the tables are from several lists with labels of their own.
    """
    seen: set[tuple[str, str]] = set()
    found = []
    for modality in MODALITIES:
        for fold in dataset.folds:
            parts = ([dataset.train(fold)] if split != "test" else []) + (
                [dataset.test(fold)] if split != "train" else []
            )
            for table in (getattr(part, modality) for part in parts):
                names = table.names  # a table with boxes names a picture once for each box
                rows = [row for row, name in enumerate(names) if (modality, name) not in seen]
                seen.update((modality, name) for name in names)
                found.append(table.take(np.array(rows, np.int64)))
    if dataset.labels_restart and len(dataset.folds) * (2 if split == "all" else 1) > 1:
        found = [replace(t, identities=np.full(len(t), UNKNOWN, np.int64)) for t in found]
    if isinstance(dataset, FolderData):  # its trainings count unknown cameras as one
        found = [replace(t, cameras=np.where(t.cameras == UNKNOWN_CAMERA, UNKNOWN, t.cameras)) for t in found]
    return [table for table in found if len(table)]
