"""Open-set figures of a trial: a naive loop, thresholds of other people, intervals over people."""

from __future__ import annotations

import numpy as np
import pytest

from tests.protocols.test_open_set import scene
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.protocols.open_set import Pairs
from usvi_bench.reports.bootstrap import ratio_interval
from usvi_bench.reports.open_set import OpenSet, open_set


def made(unknown: bool) -> tuple[Pairs, np.ndarray, np.ndarray]:
    """40 people with 12 queries each; the last ten have no gallery image if ``unknown``."""
    rng = np.random.default_rng(3)
    queries, gallery = np.repeat(np.arange(40), 12), np.repeat(np.arange(30 if unknown else 40), 3)
    same = queries[:, None] == gallery
    return Pairs(rng.normal(size=same.shape) + 2 * same, same, rng.random(same.shape) < 0.9), queries, gallery


def naive(pairs: Pairs, queries: np.ndarray, gallery: np.ndarray, one_in: int, left: set[int]) -> dict[str, float]:
    """Loop over queries and images; choose thresholds by sorting."""
    people = sorted(set(queries.tolist()))
    half = set(numpy_generator(0, "threshold", 1, 0).permutation(people)[: len(people) // 2].tolist())
    sides = [half, set(people) - half]
    rows: dict[str, list[list[tuple[float, bool]]]] = {"genuine": [[], []], "impostor": [[], []]}
    best: dict[str, list[list[tuple[float, bool]]]] = {"known": [[], []], "unknown": [[], []]}
    for q, person in enumerate(queries.tolist()):
        side = 0 if person in sides[0] else 1
        top, enrolled = (-np.inf, False), False
        for g, other in enumerate(gallery.tolist()):
            if not pairs.seen[q, g]:
                continue
            value = float(pairs.similarity[q, g])
            rows["genuine" if person == other else "impostor"][side].append((value, True))
            if other not in left:
                enrolled |= person == other
                top = max(top, (value, person == other))
        best["known" if enrolled else "unknown"][side].append(top)

    def rate(false: list[list[tuple[float, bool]]], of: list[list[tuple[float, bool]]]) -> float:
        shares = []
        for side in (0, 1):
            limit = sorted((value for value, _ in false[side]), reverse=True)[len(false[side]) // one_in]
            others = of[1 - side]
            shares.append(sum(value > limit and right for value, right in others) / len(others))
        return sum(shares) / 2

    wrong = [[(value, True) for value, _ in side] for side in best["unknown"]]
    return {
        "TAR": rate(rows["impostor"], rows["genuine"]),
        "FAR": rate(rows["impostor"], rows["impostor"]),
        "DIR": rate(best["unknown"], best["known"]),
        "FPIR": rate(wrong, wrong),
    }


@pytest.mark.parametrize("unknown", [True, False])
def test_equals_a_naive_loop(unknown: bool) -> None:
    pairs, queries, gallery = made(unknown)
    found = open_set(pairs, queries, gallery)
    left = set() if unknown else set(numpy_generator(0, "enrol", 1, 0).permutation(np.arange(40))[:20].tolist())
    assert found.removed == len(left)
    expected = naive(pairs, queries, gallery, 10, left)
    values = {**found.verification[0].values, **found.identification[0].values}
    assert {name: values[name][0] for name in expected} == pytest.approx(expected)
    assert values["found"][0] == pytest.approx(1 - expected["FPIR"])
    for value, low, high in values.values():
        assert low <= value <= high
        assert low < high


def test_rates_that_cannot_be_measured_are_missing() -> None:
    pairs, queries, gallery = made(unknown=True)
    found = open_set(pairs, queries, gallery)
    assert [rates.thresholds is None for rates in found.identification] == [False, True, True]  # 120 queries
    assert [rates.thresholds is None for rates in found.verification] == [False, False, False]
    assert found.identification[2].values == {}


@pytest.mark.parametrize(
    ("queries", "gallery"), [([0, 1, 2], [0, 0, 1, 1, 2, 2]), ([0, 1], [0, 1]), ([0, 0, 1, 1, 2, 2, 9], [0, 1, 2])]
)
def test_a_single_impostor_or_unknown_person_has_curves(queries: list[int], gallery: list[int]) -> None:
    ours, others = np.array(queries), np.array(gallery)
    same = ours[:, None] == others
    pairs = Pairs(np.random.default_rng(0).normal(size=same.shape), same, np.ones_like(same))
    alone = Pairs(pairs.similarity, same, same | (np.arange(same.size).reshape(same.shape) == np.argmin(same)))
    for each in (pairs, alone):
        curves = open_set(each, ours, others).curves
        assert (np.diff(curves["far"]) > 0).all()
        assert (np.diff(curves["tar"]) >= 0).all()
        assert curves["fpir"].size == curves["dir"].size
        assert (np.diff(curves["dir"]) >= 0).all()


def test_the_known_scene() -> None:
    pairs = scene(indoor=True)
    gallery = np.array([i for i in range(30) for c in (1, 2) if i % (3 if c == 1 else 4)])
    found: OpenSet = open_set(pairs, np.repeat(np.arange(30), 6), gallery)
    assert (found.genuine, found.impostors, found.removed) == (186, 5_394, 0)
    assert (found.queries, found.enrolled, found.people) == (180, 141, 30)
    at = np.searchsorted(found.curves["far"], 0.1)
    assert found.curves["tar"][at] == pytest.approx(0.655914, abs=0.02)
    assert (np.diff(found.curves["tar"]) >= 0).all()
    assert (np.diff(found.curves["dir"]) >= 0).all()


def test_a_trial_without_impostors_is_refused() -> None:
    pairs = Pairs(np.ones((2, 1)), np.ones((2, 1), bool), np.ones((2, 1), bool))
    with pytest.raises(ValueError, match="0 of two people"):
        open_set(pairs, np.zeros(2, np.int64), np.zeros(1, np.int64))


def test_the_interval_resamples_people_with_all_their_queries() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(25), rng.integers(1, 6, 25))
    sums, counts = rng.random((2, len(people))), rng.integers(1, 4, (2, len(people))).astype(float)
    value, low, high = ratio_interval(sums, counts, people)
    draws = []
    for _ in range(4000):
        rows = np.concatenate([np.flatnonzero(people == each) for each in rng.integers(0, 25, 25)])
        draws.append(np.mean([part[rows].sum() / count[rows].sum() for part, count in zip(sums, counts, strict=True)]))
    assert value == pytest.approx(np.mean(sums.sum(1) / counts.sum(1)))
    assert [low, high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.01)
    assert np.isnan(ratio_interval(sums, 0 * counts, people)).all()
