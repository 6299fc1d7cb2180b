"""Folder of visible images of people, as donors of images: a folder for each person, or the names of Market-1501."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_folder
from usvi_bench.datasets.base import Split
from usvi_bench.datasets.entries import Row, image_names, names_in
from usvi_bench.datasets.own_images import SUFFIXES
from usvi_bench.datasets.tree import Part, Tree, TreeDataset, shortened, table_of

MARKET_FOLDER = "bounding_box_train"
CAMERA = 1
"""Camera of images whose camera is not used."""
_MARKET_NAME = re.compile(r"(-?\d{1,9})_c\d", re.ASCII)


class PeopleFolder(TreeDataset):
    """People folder: visible images of people, without infrared images. It is not registered, and cannot be scored.

    Either the folder has a folder for each person, as the ``train`` folder of MSMT17, or the names of its images begin
    like those of Market-1501 (``0002_c1s1_000451_03.jpg``). Market-1501's own folder may be given too. Its images of
    person 0 (distractors) and -1 (junk) are left out.
    """

    name = "people"
    title: ClassVar[str] = "a folder of people"
    summary: ClassVar[str] = "visible images: a folder for each person, or the names of Market-1501"
    landmarks: ClassVar[tuple[str, ...]] = ()
    folds = (1,)

    def __init__(self, root: Path, expect_counts: bool = True) -> None:
        self.root, self.expect_counts, self.synthetic = root, False, None
        self.tree = self.load(root)
        if self.tree.missing:
            raise UsageError(f"{root}: {shortened(self.tree.missing, 3)}")

    def train(self, fold: int = 1) -> Split:
        """Return all images; the infrared table is empty."""
        return self.tree.parts["train"].split

    def test(self, fold: int = 1) -> Split:
        """Refuse: there are no test images."""
        raise UsageError(f"{self.title} has no test images; use it with --donors only")

    @classmethod
    def load(cls, root: Path) -> Tree:
        """List the images of all people; collect names without an identity."""
        rows, faults = _rows(root)
        found = table_of(rows, "visible", root)
        people = tuple(sorted(set(found.identities.tolist())))
        return Tree({"train": Part(Split(found, table_of([], "infrared", root)), people)}, (), tuple(faults))

    @classmethod
    def differences(cls, tree: Tree, synthetic: Mapping[str, object] | None) -> tuple[str, ...]:
        """Return nothing: no counts are published."""
        return ()

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether a folder has images, directly or one folder below, whatever their names."""
        return is_folder(root) and any(_rows(root))


def _rows(root: Path) -> tuple[list[Row], list[str]]:
    """Return the rows of all images, and what is wrong with names."""
    place = f"{MARKET_FOLDER}/" if is_folder(root / MARKET_FOLDER) else ""
    names = sorted(image_names(root / place, SUFFIXES))
    if not names:
        people = sorted(name for name in names_in(root) if not name.startswith(".") and is_folder(root / name))
        odd = [os.fsencode(name) for name in people if not name.isprintable()]
        return [
            (f"{name}/{image}", number, CAMERA)
            for number, name in enumerate(people)
            if name.isprintable()
            for image in image_names(root / name, SUFFIXES)
        ], [f"the name of the folder {name!r:.200} is not printable UTF-8: rename it" for name in odd]
    rows, faults = [], []
    for name in names:
        match = _MARKET_NAME.match(name)
        if match is None:
            faults.append(f"{place}{name:.200} does not begin with a person and a camera, such as 0002_c1: rename it")
        elif int(match[1]) > 0:
            rows.append((f"{place}{name}", int(match[1]), CAMERA))
    return rows, faults
