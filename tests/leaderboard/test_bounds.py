"""Bounds of the metrics: they hold for every ranking, and each is reached or missed as stated."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from usvi_bench.core.metrics import RANKS
from usvi_bench.leaderboard.bounds import Limits, impossible, possible_counts
from usvi_bench.protocols.metrics import retrieval_metrics
from usvi_bench.protocols.rules import rank_metrics


def values(scores: Any) -> dict[str, float]:
    return {**{f"R{rank}": scores.rank(rank) for rank in RANKS}, "mAP": scores.mAP, "mINP": scores.mINP}


def test_every_ranking_of_a_small_gallery_is_possible() -> None:
    """All places of up to four matches among nine images, one query each, and all of them together."""
    rows = [places for count in range(1, 5) for places in combinations(range(9), count)]
    positives = np.zeros((len(rows), 9), bool)
    for row, places in zip(positives, rows, strict=True):
        row[list(places)] = True
    similarity = np.tile(np.arange(9, 0, -1.0), (len(rows), 1))
    for some in (*(slice(i, i + 1) for i in range(len(rows))), slice(None)):
        metrics = values(retrieval_metrics(similarity[some], positives[some]))
        most = int(positives[some].sum(axis=1).max())
        assert list(impossible(metrics, Limits(most, 1))) == []


@pytest.mark.parametrize("rule", ["sysu", "regdb"])
def test_random_and_good_rankings_are_possible(rule: Any) -> None:
    generator = np.random.default_rng(0)
    for trial in range(60):
        people, shots = int(generator.integers(2, 40)), int(generator.integers(1, 6))
        gallery = np.repeat(np.arange(people), generator.integers(1, shots + 1, people))
        queries = np.repeat(np.arange(people), 3)
        similarity = generator.random((len(queries), len(gallery)))
        similarity += generator.choice([0, 0.5, -0.7, 2]) * (queries[:, None] == gallery)
        cameras = {"query_cams": np.full(len(queries), 3), "gallery_cams": np.full(len(gallery), 1)}
        metrics = values(rank_metrics(similarity, queries, gallery, **cameras, rule=rule))
        most = int(np.bincount(gallery).max())
        limits = Limits(most, most if rule == "sysu" else 1, len(queries), exact=True)
        assert list(impossible(metrics, limits)) == [], trial
        assert possible_counts([metrics[f"R{rank}"] for rank in RANKS], limits)


def test_the_best_list_behind_a_miss_reaches_the_bound() -> None:
    positives = np.zeros((1, 12), bool)
    positives[0, 1:4] = True
    metrics = values(retrieval_metrics(np.arange(12, 0, -1.0)[None], positives))
    assert list(impossible(metrics, Limits(3, 1))) == []
    assert list(impossible({**metrics, "mAP": metrics["mAP"] + 1e-6}, Limits(3, 1))) != []
    assert list(impossible({**metrics, "mINP": metrics["mINP"] + 1e-6}, Limits(3, 1))) != []


def test_inp_may_be_above_ap() -> None:
    metrics = values(retrieval_metrics([[3.0, 2.0, 1.0]], [[False, True, True]]))
    assert metrics["mINP"] == pytest.approx(2 / 3)
    assert metrics["mAP"] == pytest.approx(7 / 12)
    assert list(impossible(metrics, Limits(2, 1))) == []


def test_one_match_makes_ap_equal_inp() -> None:
    metrics = {"R1": 0.5, "R5": 0.5, "R10": 0.5, "R20": 0.5, "mAP": 0.51, "mINP": 0.50}
    assert list(impossible(metrics, Limits(1, 1))) == ["mAP 0.51 is above 0.5, the most for its mINP"]
    assert list(impossible({**metrics, "mINP": 0.52}, Limits(1, 1)))[-1].startswith("mAP 0.51 is below 0.52")


@pytest.mark.parametrize("limits", [Limits(), Limits(40, 40)])
def test_a_perfect_map_without_hits_is_impossible_in_any_gallery(limits: Limits) -> None:
    metrics = {"R1": 0.0, "R5": 1.0, "R10": 1.0, "R20": 1.0, "mAP": 1.0, "mINP": 1.0}
    assert len(list(impossible(metrics, limits))) == 2


def test_rates_are_shares_of_one_number_of_queries() -> None:
    assert possible_counts([1 / 3, 2 / 3], Limits(queries=3, exact=True))
    assert not possible_counts([1 / 3, 1 / 2], Limits(queries=5))
    assert possible_counts([1 / 3, 1 / 2], Limits(queries=6))
    assert not possible_counts([1 / 3], Limits(queries=4, exact=True))
    assert possible_counts([0.1234], Limits())
