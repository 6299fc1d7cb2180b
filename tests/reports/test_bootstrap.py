"""Bootstrap, compared with a loop that draws queries one by one, and tested for laws that hold for any data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.query_file import load_query_scores, save_query_scores
from usvi_bench.reports.bootstrap import mean_interval, paired_difference, query_values


def made(seed: int, gain: float = 0.0, people: int = 15, each: int = 4, trials: int = 3) -> QueryScores:
    """Make queries whose score depends mostly on the person; some trials exclude some queries for every model."""
    rng, shared = np.random.default_rng(seed), np.random.default_rng(99)
    identities = np.repeat(np.arange(people), each)
    hard = shared.uniform(0, 0.7, people)[identities]
    precision = np.clip(hard + gain + rng.normal(0, 0.1, (trials, len(identities))), 0, 1)
    invalid = np.random.default_rng(5).random((trials, len(identities))) < 0.1
    first_match_rank = rng.integers(0, 3, precision.shape)
    return QueryScores(
        average_precision=np.where(invalid, np.nan, precision),
        first_match_rank=np.where(invalid, -1, first_match_rank),
        identities=identities,
        paths=tuple(f"{row}.png" for row in range(len(identities))),
    )


def naive(baseline: QueryScores, other: QueryScores, metric: str, unit: str, resamples: int) -> np.ndarray:
    """Compute differences of the mean over trials, with queries drawn one by one."""
    rng = np.random.default_rng(0)
    first, second = query_values(baseline, metric), query_values(other, metric)
    people = np.unique(baseline.identities)
    draws = []
    for _ in range(resamples):
        if unit == "query":
            rows = rng.integers(0, first.shape[1], first.shape[1]).tolist()
        else:
            rows = []
            for person in rng.choice(people, len(people)):
                rows += np.flatnonzero(baseline.identities == person).tolist()
        trials = []
        for trial in range(len(first)):
            gains = [second[trial, row] - first[trial, row] for row in rows if not np.isnan(first[trial, row])]
            trials.append(sum(gains) / len(gains))
        draws.append(np.mean(trials))
    return np.array(draws)


@pytest.mark.parametrize("metric", ["mAP", "R1"])
@pytest.mark.parametrize("unit", ["query", "person"])
def test_interval_equals_a_naive_loop(metric: str, unit: str) -> None:
    baseline, other = made(1), made(2, gain=0.1)
    draws = naive(baseline, other, metric, unit, 1500)
    found = paired_difference([{1: baseline}], [{1: other}], metric, unit)  # type: ignore[arg-type]
    low, high = np.quantile(draws, [0.025, 0.975])
    tolerance = 0.12 * (high - low)  # the loop has fewer resamples
    assert found.low == pytest.approx(low, abs=tolerance)
    assert found.high == pytest.approx(high, abs=tolerance)
    assert found.low < found.difference < found.high


def test_difference_equals_that_of_the_scores() -> None:
    baseline, other = made(1), made(2, gain=0.1)
    expected = np.mean(np.nanmean(other.average_precision, axis=1) - np.nanmean(baseline.average_precision, axis=1))
    assert paired_difference([{1: baseline}], [{1: other}], "mAP", resamples=10).difference == pytest.approx(expected)
    hits = [np.mean([np.mean(row[row >= 0] == 0) for row in part.first_match_rank]) for part in (baseline, other)]
    found = paired_difference([{1: baseline}], [{1: other}], "R1", resamples=10)
    assert found.difference == pytest.approx(hits[1] - hits[0])


def test_folds_and_seeds_are_averaged() -> None:
    first, second = {1: made(1), 2: made(2)}, {1: made(3, 0.1), 2: made(4, 0.1)}
    third = {1: made(5, 0.2), 2: made(6, 0.2)}
    single = [paired_difference([first], [run], "mAP", resamples=10).difference for run in (second, third)]
    assert paired_difference([first], [second, third], "mAP", resamples=10).difference == pytest.approx(np.mean(single))


def test_a_model_and_itself_have_no_difference() -> None:
    found = paired_difference([{1: made(1)}], [{1: made(1)}], "mAP", "person")
    assert (found.difference, found.low, found.high, found.clear) == (0, 0, 0, False)


def test_a_large_gain_excludes_zero_and_people_give_wider_intervals() -> None:
    baseline = made(1)
    gain = np.linspace(0, 0.3, 15)[baseline.identities]  # queries of one person gain together
    other = replace(baseline, average_precision=baseline.average_precision + gain)
    by_query, by_person = (
        paired_difference([{1: baseline}], [{1: other}], "mAP", unit)  # type: ignore[arg-type]
        for unit in ("query", "person")
    )
    assert by_query.clear
    assert by_person.clear
    assert by_person.high - by_person.low > 1.5 * (by_query.high - by_query.low)


def test_intervals_are_deterministic_and_leave_global_generators_alone() -> None:
    state = np.random.get_state()[1].copy()
    first, again = (paired_difference([{1: made(1)}], [{1: made(2)}], "mAP") for _ in range(2))
    assert first == again
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("change", ["paths", "folds", "galleries"])
def test_other_queries_are_refused(change: str) -> None:
    scores = made(1)
    shown = np.where(np.isnan(scores.average_precision), 0.5, scores.average_precision)
    other = {
        "paths": {1: replace(scores, paths=scores.paths[::-1])},
        "folds": {2: scores},
        "galleries": {1: replace(scores, average_precision=shown)},
    }[change]
    with pytest.raises(ValueError, match="compare runs of"):
        paired_difference([{1: scores}], [other], "mAP")


def test_mean_interval_covers_the_mean() -> None:
    people = np.repeat(np.arange(10), 3)
    mean, low, high = mean_interval(np.repeat(np.arange(10.0), 3), people)
    assert mean == 4.5
    assert low < 4.5 < high
    draws = [np.random.default_rng(seed).choice(10, 10).mean() for seed in range(2000)]
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.025, 0.975]), atol=0.3)


def test_query_scores_survive_saving(tmp_path: Path) -> None:
    written = {1: made(1), 3: made(2)}
    save_query_scores(tmp_path / "queries.npz", written)
    read = load_query_scores(tmp_path / "queries.npz")
    assert list(read) == [1, 3]
    for fold, scores in written.items():
        np.testing.assert_array_equal(read[fold].average_precision, scores.average_precision)
        np.testing.assert_array_equal(read[fold].first_match_rank, scores.first_match_rank)
        np.testing.assert_array_equal(read[fold].identities, scores.identities)
        assert read[fold].paths == scores.paths
