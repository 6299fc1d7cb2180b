"""Own images: folders ``visible`` and ``infrared``, or a table of images, with or without people and cameras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_folder
from usvi_bench.core.registry import DATASETS
from usvi_bench.core.types import MODALITIES, Modality
from usvi_bench.datasets.base import ImageTable, Split
from usvi_bench.datasets.own_folders import holds_own_images, read_folders
from usvi_bench.datasets.own_images import (
    GALLERY,
    QUERY,
    TEST,
    TRAIN,
    WHOLE,
    OwnImage,
    OwnImages,
    camera_pattern,
    with_cameras,
)
from usvi_bench.datasets.own_table import READERS, is_table, read_table
from usvi_bench.datasets.tree import Part, Tree, TreeDataset, shortened

UNKNOWN_PERSON, UNKNOWN_CAMERA = -1, 0
"""Identity and camera of an image whose person or camera is not known."""


@DATASETS.register("folder")
class FolderData(TreeDataset):
    """Own images (folder data), with or without people, cameras and splits.

    Names of people and cameras become numbers in their sorted order: people from 0, cameras from 1. Equal numbers of
    both modalities are one person, or one place. Images without a split are training images. Tables are in the order of
    path and box.

    Args:
        root: folder with the folders of the modalities, or a table.
        expect_counts: without effect, because no counts are published.
        camera: regular expression of the camera in the names of files; empty for none.

    Raises:
        UsageError: images are missing or contradict each other.
    """

    name = "folder"
    title: ClassVar[str] = "own images"
    summary: ClassVar[str] = "own images: a folder with visible and infrared, or a table (.csv, .parquet)"
    landmarks: ClassVar[tuple[str, ...]] = ("visible", "infrared")
    profile: ClassVar[str] = "sysu"
    folds = (1,)

    def __init__(self, root: Path, expect_counts: bool = True, camera: str = "") -> None:
        found = read_own(root, camera)
        if found.faults:
            raise UsageError(
                f"{root} cannot be read as {self.title}: {shortened(found.faults, 3)}\n"
                f"--check-data {root} lists everything that is wrong"
            )
        self.root = found.base
        self.expect_counts = False
        self.synthetic = None
        self.notes = found.notes
        self.tree = tree_of(found)
        self._test = {modality: ordered(found.images, modality, TEST, QUERY, GALLERY) for modality in MODALITIES}
        named = [image for image in found.images if image.identity]
        self.train_people = frozenset(image.identity for image in named if image.split == TRAIN)
        self.test_people = frozenset(image.identity for image in named if image.split != TRAIN)

    def train(self, fold: int = 1) -> Split:
        """Return the training images; both tables may be empty."""
        return self.tree.parts["train"].split

    def test(self, fold: int = 1) -> Split:
        """Return all queries and gallery images; both tables may be empty."""
        return self.tree.parts["test"].split

    def rows(self, modality: Modality, role: str) -> NDArray[np.int64]:
        """Return the rows of a test table that are queries (``query``) or gallery images (``gallery``)."""
        chosen = [row for row, image in enumerate(self._test[modality]) if image.split in (role, TEST)]
        return np.array(chosen, dtype=np.int64)

    @classmethod
    def load(cls, root: Path) -> Tree:
        """Read folders or a table; collect everything that is wrong."""
        return tree_of(read_own(root))

    @classmethod
    def counts(cls, part: Part) -> dict[str, int]:
        """Count people, and images by modality."""
        split = part.split
        return {"people": len(part.listed), "visible": len(split.visible), "infrared": len(split.infrared)}

    @classmethod
    def differences(cls, tree: Tree, synthetic: Mapping[str, object] | None) -> tuple[str, ...]:
        """Return nothing: no counts are published."""
        return ()

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return True for a table, and for a folder with folders of both modalities but no lists, as RegDB has them."""
        return is_table(root) or (holds_own_images(root) and not is_folder(root / "idx"))


def read_own(root: Path, camera: str = "") -> OwnImages:
    """Read own images from folders or a table.

    Args:
        root: folder with the folders of the modalities, or a table.
        camera: regular expression of the camera in the names of files; empty for none.

    Raises:
        UsageError: the table cannot be read, or it has cameras and ``camera`` is given.
    """
    pattern = camera_pattern(camera)
    found = read_table(root) if root.suffix.lower() in READERS and not root.is_dir() else read_folders(root)
    if pattern is None:
        return found
    if any(image.camera for image in found.images):
        raise UsageError(f"{root} has a column 'camera': leave out data.camera, or the column")
    images, faults = with_cameras(found.images, pattern)
    return replace(found, images=images, faults=(*found.faults, *faults))


def ordered(images: Sequence[OwnImage], modality: Modality, *splits: str) -> list[OwnImage]:
    """Select the images of a modality and of some splits, in the order of path and box."""
    return sorted(image for image in images if image.modality == modality and image.split in splits)


def tree_of(found: OwnImages) -> Tree:
    """Return the tables of training and test images, with numbers in place of names."""
    people = _numbers((image.identity for image in found.images), UNKNOWN_PERSON, 0)
    cameras = _numbers((image.camera for image in found.images), UNKNOWN_CAMERA, 1)

    def table(modality: Modality, *splits: str) -> ImageTable:
        rows = ordered(found.images, modality, *splits)
        boxes = np.array([image.box for image in rows], dtype=np.int32).reshape(-1, 4)
        return ImageTable(
            modality=modality,
            root=found.base,
            paths=tuple(image.path for image in rows),
            identities=np.array([people[image.identity] for image in rows], dtype=np.int64),
            cameras=np.array([cameras[image.camera] for image in rows], dtype=np.int64),
            boxes=None if all(image.box == WHOLE for image in rows) else boxes,
        )

    def part(*splits: str) -> Part:
        visible, infrared = (table(modality, *splits) for modality in MODALITIES)
        listed = {people[image.identity] for image in found.images if image.split in splits and image.identity}
        return Part(Split(visible, infrared), tuple(sorted(listed)))

    parts = {"train": part(TRAIN), "test": part(QUERY, GALLERY, TEST)}
    return Tree(parts, (found.table,) if found.table else (), tuple(found.faults))


def _numbers(names: Iterable[str], unknown: int, first: int) -> dict[str, int]:
    known = sorted({name for name in names if name})
    return {"": unknown, **{name: number for number, name in enumerate(known, first)}}
