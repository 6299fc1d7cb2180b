"""Test images of synthetic people as they are planned: identities and cameras, without rendering."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, Split
from usvi_bench.datasets.entries import Row
from usvi_bench.datasets.llcm import WORDS
from usvi_bench.datasets.regdb import CAMERA
from usvi_bench.datasets.regdb import list_of as regdb_list
from usvi_bench.datasets.sysu import INFRARED_CAMERAS, VISIBLE_CAMERAS
from usvi_bench.datasets.sysu import list_of as sysu_list
from usvi_bench.datasets.tree import table_of
from usvi_bench.synthetic import SyntheticSpec
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
        self.root = Path()
        self.entries = spec.note()
        self._plan = _plan(layout, spec)
        self.images = len(self._plan.shots)
        lists = [name for name in self._plan.lists if name.startswith("idx/test_visible_")]
        folds = tuple(sorted(int(name.removesuffix(".txt").rpartition("_")[2]) for name in lists))
        self.folds = folds or (1,)

    def train(self, fold: int = 1) -> Split:
        """Raise an error: only test images are planned here."""
        raise UsageError("planned people have no training images")

    def test(self, fold: int = 1) -> Split:
        """Return the test images of a fold."""
        read = {"sysu": _sysu_rows, "regdb": _regdb_rows, "llcm": _llcm_rows}[self.name]
        visible, infrared = (list(read(self._plan, modality, fold)) for modality in ("visible", "infrared"))
        return Split(table_of(visible, "visible", self.root), table_of(infrared, "infrared", self.root))


@cache
def _plan(layout: str, spec: SyntheticSpec) -> Plan:
    return plan(cast(Layout, layout), spec)


def _sysu_rows(planned: Plan, modality: Modality, fold: int) -> Iterator[Row]:
    identities = {int(word) for word in planned.lists[sysu_list("test")].replace("\n", ",").split(",") if word.strip()}
    cameras = VISIBLE_CAMERAS if modality == "visible" else INFRARED_CAMERAS
    for shot in planned.shots:
        if shot.person in identities and shot.camera in cameras:
            yield shot.path, shot.person, shot.camera


def _regdb_rows(planned: Plan, modality: Modality, fold: int) -> Iterator[Row]:
    name = "test_visible" if modality == "visible" else "test_thermal"
    for line in planned.lists[regdb_list(f"{name}_{fold}")].splitlines():
        path, _, label = line.rpartition(" ")
        yield path, int(label), CAMERA


def _llcm_rows(planned: Plan, modality: Modality, fold: int) -> Iterator[Row]:
    for shot in planned.shots:
        if shot.path.startswith(f"test_{WORDS[modality]}/"):
            yield shot.path, shot.person, shot.camera % NIGHT
