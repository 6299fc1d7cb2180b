"""SYSU-MM01 in its published layout: ``cam1 ... cam6/<id>/<frame>.jpg`` and ``exp/{train,val,test}_id.txt``.

Source: Wu et al., "RGB-Infrared Cross-Modality Person Re-Identification", ICCV 2017; wuancong/SYSU-MM01 @0499112.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_folder
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.base import Split
from usvi_bench.datasets.entries import person_rows
from usvi_bench.datasets.lists import read_ids
from usvi_bench.datasets.tree import Part, Tree, TreeDataset, table_of

VISIBLE_CAMERAS = (1, 2, 4, 5)
INFRARED_CAMERAS = (3, 6)
CAMERAS = (1, 2, 3, 4, 5, 6)
LISTS = ("train", "val", "test")
COUNTS = {
    "train": (296, 4721, 5753, 5929, 4821, 4989, 4000),
    "val": (99, 0, 0, 1980, 990, 984, 0),
    "train+val": (395, 4721, 5753, 7909, 5811, 5973, 4000),
    "test": (96, 1374, 1565, 1883, 1918, 1918, 1920),
}
"""People, then images of these people by camera; agrees with the permutation file of the official evaluation."""


@DATASETS.register("sysu")
class Sysu(TreeDataset):
    """SYSU-MM01 data set; its training set joins the train and val lists, as is usual in the field.

    Images of unlisted people are ignored. Tables are in path order: camera, identity, frame.
    """

    name = "sysu"
    title: ClassVar[str] = "SYSU-MM01"
    summary: ClassVar[str] = "SYSU-MM01: 4 visible and 2 near-infrared cameras; 395 people to train on, 96 to test on"
    landmarks: ClassVar[tuple[str, ...]] = (*(f"cam{camera}" for camera in CAMERAS), "exp/train_id.txt")
    folds = (1,)

    def train(self, fold: int = 1) -> Split:
        """Return the images of the train and val lists."""
        return self.tree.parts["train+val"].split

    def test(self, fold: int = 1) -> Split:
        """Return all images of the test list, from which a protocol draws its galleries."""
        return self.tree.parts["test"].split

    @classmethod
    def load(cls, root: Path) -> Tree:
        """Read id lists and folders; collect everything that is missing."""
        missing = [f"no folder cam{camera}: restore it" for camera in CAMERAS if not is_folder(root / f"cam{camera}")]
        identities: dict[str, tuple[int, ...]] = {}
        for name in LISTS:
            try:
                identities[name] = read_ids(root / list_of(name))
            except UsageError as error:
                missing.append(str(error))
                identities[name] = ()
        shared = sorted(set(identities["test"]) & {*identities["train"], *identities["val"]})
        if shared:
            missing.append(f"id {shared[0]} is on the test list and on a training list")
        identities["train+val"] = tuple(sorted({*identities["train"], *identities["val"]}))
        try:
            parts = {name: Part(_split(root, identities[name]), identities[name]) for name in COUNTS}
        except UsageError as error:
            missing.append(str(error))
            parts = {}
        if not missing:
            missing = [
                f"no {table.modality} image of the {name} people: restore their folders below cam1 to cam6"
                for name in ("train+val", "test")
                for table in (parts[name].split.visible, parts[name].split.infrared)
                if not len(table)
            ]
        return Tree(parts, tuple(list_of(name) for name in LISTS), tuple(missing))

    @classmethod
    def counts(cls, part: Part) -> dict[str, int]:
        """Count people seen in both modalities, and images by modality and by camera."""
        cameras = np.concatenate([part.split.visible.cameras, part.split.infrared.cameras])
        return super().counts(part) | {f"cam{camera}": int((cameras == camera).sum()) for camera in CAMERAS}

    @classmethod
    def published(cls, part: str) -> Mapping[str, int]:
        """Return the published counts of the training and the test set; empty for other parts."""
        if part not in ("train+val", "test"):
            return {}
        people, *images = COUNTS[part]
        by_camera = dict(zip(CAMERAS, images, strict=True))
        return {
            "people": people,
            "visible": sum(by_camera[camera] for camera in VISIBLE_CAMERAS),
            "infrared": sum(by_camera[camera] for camera in INFRARED_CAMERAS),
            **{f"cam{camera}": number for camera, number in by_camera.items()},
        }


def list_of(name: str) -> str:
    """Return the path of an id list below the root."""
    return f"exp/{name}_id.txt"


def _split(root: Path, identities: Sequence[int]) -> Split:
    return Split(
        visible=table_of(person_rows(root, _folders(VISIBLE_CAMERAS), identities), "visible", root),
        infrared=table_of(person_rows(root, _folders(INFRARED_CAMERAS), identities), "infrared", root),
    )


def _folders(cameras: Sequence[int]) -> dict[int, str]:
    return {camera: f"cam{camera}" for camera in cameras}
