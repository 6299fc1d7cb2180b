"""Digest of queries and galleries: equal for equal draws only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.datasets.base import Dataset, ImageTable, Split
from usvi_bench.datasets.planned import PlannedDataset
from usvi_bench.protocols import metrics
from usvi_bench.protocols.base import ProtocolConfig
from usvi_bench.protocols.draw_digest import draw_digest, fold_digest
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.sysu import SysuAll
from usvi_bench.synthetic import SyntheticSpec

PEOPLE = PlannedDataset("sysu", SyntheticSpec(size="tiny"))


class Reordered(PlannedDataset):
    """Reordered data set: its infrared test images are in another order."""

    def test(self, fold: int = 1) -> Split:
        split = super().test(fold)
        return replace(split, infrared=split.infrared.take(np.arange(len(split.infrared))[::-1]))


class OtherDraw(SysuAll):
    """Other draw of the galleries."""

    def galleries(self, dataset: Dataset, fold: int) -> tuple[NDArray[np.int64], ...]:
        return super().galleries(dataset, fold)[::-1]


class OtherRule(SysuAll):
    """Other rule: no image is ignored."""

    def masks(self, query: ImageTable, gallery: ImageTable) -> RetrievalMasks:
        return replace(super().masks(query, gallery), ignored=None)


def test_equal_draws_have_equal_digests() -> None:
    first = fold_digest(SysuAll(), PEOPLE, 1)
    assert first == fold_digest(SysuAll(), PlannedDataset("sysu", SyntheticSpec(size="tiny")), 1)
    assert len(first) == 64


def test_blocks_of_queries_change_neither_digests_nor_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for block, rows in ((metrics.BLOCK, metrics.ROWS), (1, 8)):
        monkeypatch.setattr(metrics, "BLOCK", block)
        monkeypatch.setattr(metrics, "ROWS", rows)
        found.append((fold_digest(SysuAll(), PEOPLE, 1), SysuAll().chance(PEOPLE, 1)))
    assert len([*metrics.query_blocks(len(PEOPLE.test().infrared), 1)]) > 1
    assert found[0][0] == found[1][0]
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-12)


@pytest.mark.parametrize(
    ("protocol", "dataset"),
    [
        (OtherDraw(), PEOPLE),
        (OtherRule(), PEOPLE),
        (SysuAll(ProtocolConfig(shots=10)), PEOPLE),
        (PROTOCOLS.get("sysu_indoor")(), PEOPLE),
        (SysuAll(), Reordered("sysu", SyntheticSpec(size="tiny"))),
        (SysuAll(), PlannedDataset("sysu", SyntheticSpec(size="tiny", seed=1))),
    ],
    ids=["draw", "rule", "shots", "protocol", "order", "people"],
)
def test_other_draws_people_orders_and_rules_have_other_digests(protocol: SysuAll, dataset: Dataset) -> None:
    assert fold_digest(protocol, dataset, 1) != fold_digest(SysuAll(), PEOPLE, 1)


def test_every_part_counts() -> None:
    given = ("synthetic-ff", "sysu_all", {"shots": 1, "gallery": "seeded"}, 10, {1: "a", 2: "b"})
    known = {draw_digest(*given)}
    for at, other in enumerate(
        ("synthetic-fe", "sysu_all_c", {"shots": 1, "gallery": "official"}, 1, {1: "a", 3: "b"})
    ):
        known.add(draw_digest(*given[:at], other, *given[at + 1 :]))  # type: ignore[arg-type]
    assert len(known) == 6
    assert draw_digest(*given[:4], {2: "b", 1: "a"}) == draw_digest(*given)
    assert draw_digest(*given[:2], {**given[2], "model": "teacher"}, *given[3:]) == draw_digest(*given)
