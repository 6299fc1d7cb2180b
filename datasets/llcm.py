"""LLCM in its published layout: lists of training images, ``test_vis`` and ``test_nir`` with folders by camera.

Source: Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
Visible-Infrared Person Re-identification", CVPR 2023; ZYK100/LLCM @886e27c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_file, is_folder
from usvi_bench.core.registry import DATASETS
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import ImageTable, Split
from usvi_bench.datasets.entries import Row, person_rows, read_lines
from usvi_bench.datasets.image_sizes import describe_sizes
from usvi_bench.datasets.lists import read_ids, read_images
from usvi_bench.datasets.tree import Part, Tree, TreeDataset, table_of

CAMERAS: dict[Modality, tuple[int, ...]] = {
    "visible": (1, 2, 3, 4, 5, 6, 7, 8, 9),
    "infrared": (1, 2, 4, 5, 6, 7, 8, 9),
}
"""Cameras with test images, by modality. Equal numbers of both modalities are one place."""
WORDS: dict[Modality, str] = {"visible": "vis", "infrared": "nir"}
"""Names of the modalities in lists and folders."""
TEST_IDS = "idx/test_id.txt"
COUNTS = {"train": (713, 16_946, 13_975), "test": (351, 8_680, 7_166)}
"""People, visible and infrared images. The paper prints 13,909 for the sum of the test images, but 46,767 in all."""
_CAMERA = re.compile(r"\d+_c0*([1-9])(?!\d)")


@DATASETS.register("llcm")
class LLCM(TreeDataset):
    """LLCM data set: nine cameras by day and night, and one split.

    Training identities are the labels of the lists, test identities the names of folders: equal numbers are different
    people. Images of people who are not on the test list are ignored. Tables are in path order.
    """

    name = "llcm"
    labels_restart = True
    title: ClassVar[str] = "LLCM"
    summary: ClassVar[str] = "LLCM: 9 visible and 8 near-infrared cameras; 713 people to train on, 351 to test on"
    landmarks: ClassVar[tuple[str, ...]] = ("test_vis", "test_nir", "idx/train_vis.txt")
    folds = (1,)

    def train(self, fold: int = 1) -> Split:
        """Return the images of the training lists."""
        return self.tree.parts["train"].split

    def test(self, fold: int = 1) -> Split:
        """Return all images of the test people, from which a protocol draws its galleries."""
        return self.tree.parts["test"].split

    @classmethod
    def load(cls, root: Path) -> Tree:
        """Read lists and folders; collect everything that is missing."""
        missing = [
            f"no folder {folder}: restore it"
            for modality in CAMERAS
            for folder in test_folders(modality).values()
            if not is_folder(root / folder)
        ]
        train: dict[Modality, list[Row]] = {}
        for modality in CAMERAS:
            try:
                train[modality] = read_list(root / list_of(modality))
            except UsageError as error:
                missing.append(str(error))
                train[modality] = []
        labels = tuple(sorted({label for rows in train.values() for _, label, _ in rows}))
        both = sorted({row[0] for row in train["visible"]} & {row[0] for row in train["infrared"]})
        if both:
            missing.append(f"{both[0]:.200} is on both training lists; restore {' and '.join(map(list_of, CAMERAS))}")
        for modality, rows in train.items():
            train[modality] = [row for row in rows if is_file(root / row[0])]
            absent = sorted({row[0] for row in rows} - {row[0] for row in train[modality]})
            missing += [f"no image {path:.200}, which {list_of(modality)} names: restore it" for path in absent]
        try:
            people = read_test_ids(root / TEST_IDS)
            test = {m: person_rows(root, test_folders(m), people) for m in CAMERAS}
            missing += [f"no {m} image of the people of {TEST_IDS}: restore them" for m in CAMERAS if not test[m]]
        except UsageError as error:
            missing.append(str(error))
            people, test = (), {}
        parts = {"train": _part(root, train, labels), "test": _part(root, test, people)}
        return Tree(parts, (*map(list_of, CAMERAS), TEST_IDS), tuple(missing))

    @classmethod
    def counts(cls, part: Part) -> dict[str, int]:
        """Count people with any image, and images by modality."""
        people = np.union1d(part.split.visible.identities, part.split.infrared.identities).size
        return super().counts(part) | {"people": people}

    @classmethod
    def published(cls, part: str) -> Mapping[str, int]:
        """Return the published counts; none are known by camera."""
        return dict(zip(("people", "visible", "infrared"), COUNTS[part], strict=True))

    @classmethod
    def details(cls, tree: Tree, root: Path) -> list[str]:
        """Count images by camera and pairs of person and camera, and describe the sizes of the images."""
        tables = [
            (f"{name} {table.modality}", table)
            for name, part in tree.parts.items()
            for table in (part.split.visible, part.split.infrared)
        ]
        columns = ["pairs", *(f"cam{camera}" for camera in CAMERAS["visible"])]
        lines = ["images by camera; pairs of person and camera (a test gallery has one image of each pair):"]
        lines.append("".ljust(15) + "".join(f"{column:>7}" for column in columns))
        for name, table in tables:
            numbers = [len(pairs_of(table)), *(int((table.cameras == c).sum()) for c in CAMERAS["visible"])]
            lines.append(name.ljust(15) + "".join(f"{number:>7}" for number in numbers))
        return [*lines, *(describe_sizes(name, root, table.paths) for name, table in tables)]


def test_folders(modality: Modality) -> dict[int, str]:
    """Return the folder of the test images of each camera, relative to the root."""
    return {camera: f"test_{WORDS[modality]}/cam{camera}" for camera in CAMERAS[modality]}


def list_of(modality: Modality) -> str:
    """Return the path of a training list below the root."""
    return f"idx/train_{WORDS[modality]}.txt"


def pairs_of(table: ImageTable) -> set[tuple[int, int]]:
    """Return the pairs of person and camera that have an image."""
    return set(zip(table.identities.tolist(), table.cameras.tolist(), strict=True))


def camera_of(image: str) -> int | None:
    """Return the camera in the name of a training image, or None if the name has none.

    >>> camera_of("nir/0001/0001_c04_s199803.jpg"), camera_of("c4/0001_c4.jpg"), camera_of("0001_c12.jpg")
    (4, 4, None)
    """
    match = _CAMERA.match(image.rpartition("/")[2])
    return int(match[1]) if match else None


def read_list(path: Path) -> list[Row]:
    """Read the images of a training list, with labels and cameras.

    Raises:
        UsageError: see :func:`~usvi_bench.datasets.lists.read_images`; or a line names a test image, or an image whose
            name has no camera.
    """

    def fault(image: PurePosixPath) -> str:
        if image.parts[:1] in (("test_vis",), ("test_nir",)):
            return "is a test image"
        if camera_of(image.as_posix()) is None:
            return "has no camera in its name, as 0001_c04_... has camera 4"
        return ""

    return [(image, label, camera_of(image) or 0) for image, label in read_images(path, fault)]


def read_test_ids(path: Path) -> tuple[int, ...]:
    """Read the list of test people, which must be one line of numbers and commas.

    Raises:
        UsageError: the list is malformed, or it has several lines (the public code reads only the first).
    """
    identities = read_ids(path)
    lines = sum(1 for line in read_lines(path) if line.strip())
    if lines > 1:
        raise UsageError(f"{path} has {lines} lines, of which the public code reads the first; restore it as one line")
    return identities


def _part(root: Path, rows: Mapping[Modality, list[Row]], people: tuple[int, ...]) -> Part:
    visible, infrared = (table_of(rows.get(modality, ()), modality, root) for modality in CAMERAS)
    return Part(Split(visible, infrared), people)
