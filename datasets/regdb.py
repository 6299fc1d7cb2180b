"""RegDB in its published layout: ``Visible``, ``Thermal`` and ``idx/{train,test}_{visible,thermal}_<fold>.txt``.

Source: Nguyen et al., "Person Recognition System Based on a Combination of Body Images from Visible Light and
Thermal Cameras", Sensors 2017; the ten splits of Ye et al., AAAI 2018.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_file, is_folder
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.base import Split
from usvi_bench.datasets.entries import Row
from usvi_bench.datasets.lists import read_images
from usvi_bench.datasets.tree import Part, Tree, TreeDataset, shortened, table_of

FOLDERS = ("Visible", "Thermal", "idx")
LISTS = ("train_visible", "train_thermal", "test_visible", "test_thermal")
FOLDS = tuple(range(1, 11))
"""Numbers of the published folds."""
PEOPLE = 206
IMAGES_EACH = 10
CAMERA = 1
"""Camera number of both modalities, as in the converted files of yangbincv/ADCA @8d0a8cb."""


@DATASETS.register("regdb")
class RegDB(TreeDataset):
    """RegDB data set; each fold trains on another half of the 412 people and needs its own model.

    Identities are the labels of the lists, which restart in every list: equal numbers in a training and a test table
    are different people. Tables are in path order, not in the order of the labels.
    """

    name = "regdb"
    labels_restart = True
    published_folds = FOLDS
    title: ClassVar[str] = "RegDB"
    summary: ClassVar[str] = (
        "RegDB: paired visible and thermal cameras; 10 folds of 206 people to train on, 206 to test on"
    )
    landmarks: ClassVar[tuple[str, ...]] = ("Visible", "Thermal", "idx/train_visible_1.txt")

    def __init__(self, root: Path, expect_counts: bool = True) -> None:
        super().__init__(root, expect_counts)
        self.folds = folds_of(root)

    def train(self, fold: int = 1) -> Split:
        """Return the training images of a fold."""
        return self._part(fold, "train")

    def test(self, fold: int = 1) -> Split:
        """Return the test images of a fold."""
        return self._part(fold, "test")

    def _part(self, fold: int, split: str) -> Split:
        if fold not in self.folds:
            raise UsageError(
                f"RegDB fold {fold} is not in {self.root / 'idx'}: choose one of {self.folds[0]} to {self.folds[-1]}"
            )
        return self.tree.parts[f"fold {fold} {split}"].split

    @classmethod
    def load(cls, root: Path) -> Tree:
        """Read the lists of all folds; collect everything that is missing."""
        missing = [f"no folder {folder}: restore it" for folder in FOLDERS if not is_folder(root / folder)]
        folds = folds_of(root)
        if not folds:
            padded = sorted(path.name for path in (root / "idx").glob("*_0*.txt"))
            remedy = f"; rename idx/{padded[0]}, whose number begins with 0, and the other lists" if padded else ""
            missing.append(f"no list idx/train_visible_1.txt{remedy}")
        rows: dict[str, list[Row]] = {}
        for name in (f"{part}_{fold}" for fold in folds for part in LISTS):
            try:
                rows[name] = read_list(root / list_of(name))
            except UsageError as error:
                missing.append(str(error))
                rows[name] = []
        paths = sorted({path for listed in rows.values() for path, _, _ in listed})
        absent = {path for path in paths if not is_file(root / path)}
        missing += [f"no image {path:.200}, which a list names: restore it" for path in paths if path in absent]
        for fold in folds:
            missing += _leaks(rows, fold)
        parts = {
            f"fold {fold} {split}": _part(root, rows, absent, fold, split)
            for fold in folds
            for split in ("train", "test")
        }
        return Tree(parts, tuple(map(list_of, rows)), tuple(missing))

    @classmethod
    def published(cls, part: str) -> Mapping[str, int]:
        """Return the published counts of a fold, equal for training and test."""
        return {"people": PEOPLE, "visible": PEOPLE * IMAGES_EACH, "infrared": PEOPLE * IMAGES_EACH}

    @classmethod
    def differences(cls, tree: Tree, synthetic: Mapping[str, object] | None) -> tuple[str, ...]:
        """Describe deviations from the published or generated counts, and published folds that are absent."""
        lines = super().differences(tree, synthetic)
        absent = [fold for fold in FOLDS if f"fold {fold} train" not in tree.parts]
        if synthetic is not None or not absent:
            return lines
        numbers = shortened(map(str, absent), 9, ", ")
        return (f"{len(FOLDS) - len(absent)} of {len(FOLDS)} folds (no lists of fold {numbers})", *lines)

    @classmethod
    def lacking(cls, part: Part) -> str:
        """Describe the labels that do not have ten images in each modality; empty if all have."""
        texts = []
        for table in (part.split.visible, part.split.infrared):
            images = Counter(table.identities.tolist())
            uneven = [f"{label} has {images[label]} images" for label in part.listed if images[label] != IMAGES_EACH]
            if uneven:
                texts.append(
                    f"{table.modality}: label {shortened(uneven, 4, between=', ')}; each must have {IMAGES_EACH}"
                )
        return ", ".join(texts)


def folds_of(root: Path) -> tuple[int, ...]:
    """Return the numbers of the folds that have any list in ``idx``, ascending."""
    names = (path.name for path in (root / "idx").glob("*.txt"))
    matches = (re.fullmatch(rf"(?:{'|'.join(LISTS)})_([1-9][0-9]{{0,8}})\.txt", name) for name in names)
    return tuple(sorted({int(match[1]) for match in matches if match}))


def list_of(name: str) -> str:
    """Return the path of a list below the root."""
    return f"idx/{name}.txt"


def read_list(path: Path) -> list[Row]:
    """Read the images of a list; see :func:`~usvi_bench.datasets.lists.read_images`.

    Raises:
        UsageError: the file is absent or empty, or a line is malformed, repeated, or names an image of the other
            modality or outside the data set.
    """
    folder = "Visible" if "_visible_" in path.name else "Thermal"

    def fault(image: PurePosixPath) -> str:
        return "" if image.parts[:1] == (folder,) else f"is not below {folder}"

    return [(image, label, CAMERA) for image, label in read_images(path, fault)]


def _part(root: Path, rows: Mapping[str, list[Row]], absent: Collection[str], fold: int, split: str) -> Part:
    """Make the part of two lists; images that are absent are left out, their labels stay listed."""
    visible, infrared = rows[f"{split}_visible_{fold}"], rows[f"{split}_thermal_{fold}"]
    labels = tuple(sorted({label for _, label, _ in [*visible, *infrared]}))
    found = [[row for row in listed if row[0] not in absent] for listed in (visible, infrared)]
    return Part(Split(table_of(found[0], "visible", root), table_of(found[1], "infrared", root)), labels)


def _leaks(rows: Mapping[str, list[Row]], fold: int) -> list[str]:
    """Find people (folders) that are both on a training and on a test list of a fold; report one per modality."""
    leaks = []
    for modality in ("visible", "thermal"):
        train, test = (
            {str(PurePosixPath(path).parent) for path, _, _ in rows[f"{split}_{modality}_{fold}"]}
            for split in ("train", "test")
        )
        leaks += [f"fold {fold} trains and tests on the images of {folder}" for folder in sorted(train & test)[:1]]
    return leaks
