"""Confidence intervals of differences between two models: paired bootstrap over queries or over people.

Both models answer the same queries with the same galleries. A resample draws queries (or people with all their
queries) with replacement and scores both models on it. Resampling people is more conservative, because errors of
queries of one person are correlated.

B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.seeding import numpy_generator
from usvi_bench.protocols.base import QueryScores

RESAMPLES = 10_000
LEVEL = 0.95
_BLOCK = 1 << 22
"""Number of draws in memory at the same time."""

Unit = Literal["query", "person"]
Values = NDArray[np.float64]
Folds = Mapping[int, QueryScores]


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference ``other - baseline`` as a fraction, with its percentile interval at :data:`LEVEL`."""

    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def query_values(scores: QueryScores, metric: str) -> Values:
    """Return the value of each query, ``[T, Q]``: its AP for mAP, its hit at rank 1 for R1; NaN for invalid queries."""
    if metric == "mAP":
        return scores.average_precision
    return np.where(scores.first_match_rank < 0, np.nan, scores.first_match_rank == 0)


def paired_difference(
    baseline: Sequence[Folds],
    other: Sequence[Folds],
    metric: str,
    unit: Unit = "query",
    *,
    resamples: int = RESAMPLES,
) -> Difference:
    """Compute the difference of means over seeds, folds and trials, as in the leaderboard, with its interval.

    Seeds are averaged for each query. The interval covers the variation over queries, not over seeds.

    Args:
        baseline: query scores of each seed, by fold.
        other: query scores of the compared model; its number of seeds may differ.
        metric: ``mAP`` or ``R1``.
        unit: resampled unit.
        resamples: number of draws.

    Raises:
        ValueError: queries or galleries of the two models differ.
    """
    folds = _same_queries(baseline, other)
    found, draws = 0.0, np.zeros(resamples)
    for fold in folds:
        first, second = (_mean_over_seeds(seeds, fold, metric) for seeds in (baseline, other))
        valid = ~np.isnan(first)
        gain = np.where(valid, second - first, 0.0)
        units = _units(baseline[0][fold], unit)
        count = int(units.max()) + 1
        sums, counts = (_per_unit(part, units, count) for part in (gain, valid.astype(np.float64)))
        found += float(np.mean(sums.sum(axis=0) / counts.sum(axis=0)))
        generator = numpy_generator(0, "bootstrap", unit, fold)
        draws += _resampled(sums, counts, resamples, generator)
    return Difference(found / len(folds), *_ends(draws / len(folds)))


def mean_interval(values: Values, people: NDArray[np.int64]) -> tuple[float, float, float]:
    """Compute the mean of ``[Q]`` values and its percentile interval over resampled people."""
    return ratio_interval(values[None], np.ones((1, len(values))), people, resamples=2000)


def ratio_interval(
    sums: Values, counts: Values, people: NDArray[np.int64], *, resamples: int = 1000
) -> tuple[float, float, float]:
    """Compute the mean of several ratios of sums over queries, and its percentile interval over resampled people.

    Args:
        sums: ``[T, Q]`` share of each query in the numerator of each ratio.
        counts: ``[T, Q]`` share in the denominator.
        people: ``[Q]`` person of each query; a resample draws people with all their queries.
        resamples: number of draws; a draw with an empty denominator is left out.

    Returns:
        Value, lower and upper end; NaN if a denominator is empty.
    """
    if not counts.sum(axis=1).all():
        return (float("nan"),) * 3
    units = np.unique(people, return_inverse=True)[1]
    drawn, base = (_per_unit(part, units, int(units.max()) + 1) for part in (sums, counts))
    draws = _resampled(drawn, base, resamples, numpy_generator(0, "interval"))
    return float(np.mean(sums.sum(axis=1) / counts.sum(axis=1))), *_ends(draws)


def _ends(draws: Values) -> tuple[float, float]:
    """Return the ends of the percentile interval at :data:`LEVEL`."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _resampled(sums: Values, counts: Values, resamples: int, generator: np.random.Generator) -> Values:
    """Resample units: ratio of drawn sums ``[U, T]`` to drawn counts ``[U, T]``, mean over trials, ``[resamples]``."""
    units = len(sums)
    draws = []
    for start in range(0, resamples, step := max(1, _BLOCK // units)):
        size = min(step, resamples - start)
        # number of draws of each unit: the same distribution as drawing U of U with replacement
        times = generator.multinomial(units, np.full(units, 1 / units), size=size).astype(np.float64)
        with np.errstate(invalid="ignore"):  # a draw without any valid query has no score
            draws.append(np.mean((times @ sums) / (times @ counts), axis=1))
    return np.concatenate(draws)


def _per_unit(values: Values, units: NDArray[np.int64], count: int) -> Values:
    """Sum values ``[T, Q]`` within units, ``[count, T]``."""
    return np.stack([np.bincount(units, weights=row, minlength=count) for row in values], axis=1)


def _units(scores: QueryScores, unit: Unit) -> NDArray[np.int64]:
    if unit == "query":
        return np.arange(len(scores.identities))
    return np.unique(scores.identities, return_inverse=True)[1]


def _mean_over_seeds(seeds: Sequence[Folds], fold: int, metric: str) -> Values:
    mean: Values = np.mean([query_values(folds[fold], metric) for folds in seeds], axis=0)
    return mean


def _same_queries(baseline: Sequence[Folds], other: Sequence[Folds]) -> list[int]:
    """Return the folds after checking that all runs have the same queries and galleries."""
    reference = baseline[0]
    for folds in (*baseline, *other):
        if set(folds) != set(reference):
            raise ValueError(f"folds {sorted(folds)} and {sorted(reference)} differ: compare runs of the same folds")
        for fold, scores in folds.items():
            valid, known = (np.isnan(part.average_precision) for part in (scores, reference[fold]))
            people, others = (_units(part, "person") for part in (scores, reference[fold]))
            equal = np.array_equal(valid, known) and np.array_equal(people, others)
            if scores.paths != reference[fold].paths or not equal:
                raise ValueError(
                    f"fold {fold}: queries or galleries differ; compare runs of one protocol and one data set"
                )
    return sorted(reference)
