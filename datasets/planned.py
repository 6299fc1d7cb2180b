"""Images of synthetic people as they are planned: identities and cameras, without rendering."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, Split
from usvi_bench.datasets.entries import Row
from usvi_bench.datasets.llcm import WORDS
from usvi_bench.datasets.llcm import list_of as llcm_list
from usvi_bench.datasets.regdb import CAMERA
from usvi_bench.datasets.regdb import list_of as regdb_list
from usvi_bench.datasets.sysu import INFRARED_CAMERAS, VISIBLE_CAMERAS
from usvi_bench.datasets.sysu import list_of as sysu_list
from usvi_bench.datasets.tree import table_of
from usvi_bench.synthetic import GENERATOR_VERSIONS, SyntheticSpec
from usvi_bench.synthetic.cameras import NIGHT, Layout
from usvi_bench.synthetic.layout import Plan, plan


class PlannedDataset(Dataset):
    """Planned data set of synthetic people. A protocol can draw its galleries; there are no image files.

    Args:
        layout: ``sysu``, ``regdb`` or ``llcm``.
        spec: specification of the people.

    Attributes:
        entries: specification as plain data.
        images: number of images.
    """

    def __init__(self, layout: str, spec: SyntheticSpec) -> None:
        self.name = layout  # type: ignore[misc]  # of the instance, because this class has all layouts
        self.root = Path(spec.folder(cast(Layout, layout)))
        self.entries = spec.note()
        self._plan = _plan(layout, spec)
        self.images = len(self._plan.shots)
        version = GENERATOR_VERSIONS[layout]
        self.synthetic = {"generator_version": version, "layout": layout, "spec": self.entries, "images": self.images}
        self.fingerprint = f"planned-{self.root}"
        lists = [name for name in self._plan.lists if name.startswith("idx/test_visible_")]
        folds = tuple(sorted(int(name.removesuffix(".txt").rpartition("_")[2]) for name in lists))
        self.folds = folds or (1,)

    def train(self, fold: int = 1) -> Split:
        """Return the training images of a fold."""
        return self._split("train", fold)

    def test(self, fold: int = 1) -> Split:
        """Return the test images of a fold."""
        return self._split("test", fold)

    def _split(self, part: str, fold: int) -> Split:
        read = {"sysu": _sysu_rows, "regdb": _regdb_rows, "llcm": _llcm_rows}[self.name]
        visible, infrared = (list(read(self._plan, modality, part, fold)) for modality in ("visible", "infrared"))
        return Split(table_of(visible, "visible", self.root), table_of(infrared, "infrared", self.root))


@cache
def _plan(layout: str, spec: SyntheticSpec) -> Plan:
    return plan(cast(Layout, layout), spec)


def _sysu_rows(planned: Plan, modality: Modality, part: str, fold: int) -> Iterator[Row]:
    texts = [planned.lists[sysu_list(name)] for name in (["train", "val"] if part == "train" else ["test"])]
    identities = {int(word) for text in texts for word in text.replace("\n", ",").split(",") if word.strip()}
    cameras = VISIBLE_CAMERAS if modality == "visible" else INFRARED_CAMERAS
    for shot in planned.shots:
        if shot.person in identities and shot.camera in cameras:
            yield shot.path, shot.person, shot.camera


def _regdb_rows(planned: Plan, modality: Modality, part: str, fold: int) -> Iterator[Row]:
    name = f"{part}_visible" if modality == "visible" else f"{part}_thermal"
    for line in planned.lists[regdb_list(f"{name}_{fold}")].splitlines():
        path, _, label = line.rpartition(" ")
        yield path, int(label), CAMERA


def _llcm_rows(planned: Plan, modality: Modality, part: str, fold: int) -> Iterator[Row]:
    lines = planned.lists[llcm_list(modality)].splitlines() if part == "train" else []
    labels = {path: int(label) for path, _, label in (line.rpartition(" ") for line in lines)}
    for shot in planned.shots:
        if shot.path in labels or (part == "test" and shot.path.startswith(f"test_{WORDS[modality]}/")):
            yield shot.path, labels.get(shot.path, shot.person), shot.camera % NIGHT
