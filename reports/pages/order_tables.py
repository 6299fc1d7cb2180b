"""Documentation tables of the order of methods: pairs that the seeds distinguish, and agreement between orders.

The agreement is Kendall's tau-b of two lists of mean mAP: 1 for equal orders, -1 for reversed ones, about 0 for
unrelated ones. "Is Synthetic Dataset Reliable for Benchmarking Generalizable Person Re-Identification?"
(arXiv 2209.05047) compares rankings on synthetic and real people by this figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from usvi_bench.core.seeding import numpy_generator
from usvi_bench.leaderboard.published import choose, find_published, read_figures
from usvi_bench.leaderboard.significance import P_VALUE, holm, paired_p
from usvi_bench.reports.pages.page_table import PageTable, quoted
from usvi_bench.reports.pages.sources import PEOPLE, Sources

RESAMPLES = 1000
LEVEL = 0.95

Scores = pd.DataFrame  # mAP in percent: a row for each seed, a column for each method
Means = NDArray[np.float64]


def separation_table(name: str, protocols: Sequence[str]) -> PageTable:
    """Specify a table of the pairs of ranked methods whose scores differ significantly, for each protocol."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        for protocol in protocols:
            scores = _scores(sources, protocol)
            pairs = math.comb(scores.shape[1], 2)
            counts = (sum(p < P_VALUE for p in holm(test(scores))) for test in (paired_tests, pooled_tests))
            yield [quoted(protocol), str(len(scores)), str(pairs), *(f"{n} ({100 * n / pairs:.0f} %)" for n in counts)]

    return PageTable(name, ["", "n", "pairs", "paired t-test", "pooled variance"], rows)


def agreement_table(
    name: str,
    boards: Sequence[tuple[str, str]],
    protocols: Sequence[str],
    others: Mapping[str, int],
) -> PageTable:
    """Specify a table of the agreement between orders of the ranked methods.

    Args:
        name: name of the table.
        boards: pairs of protocols to compare.
        protocols: protocols to compare with the published figures, and whose seeds are halved.
        others: data seed of other people by protocol; the order on them is compared with that of the leaderboard.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for pair in boards:
            first, second = (_scores(sources, protocol) for protocol in pair)
            yield _row(" and ".join(map(quoted, pair)), first, *resampled_tau(first, second))
        for protocol, people in others.items():
            first, second = (_scores(sources, protocol, people=seed) for seed in (PEOPLE, people))
            yield _row(f"{quoted(protocol)}, people {PEOPLE} and {people}", first, *resampled_tau(first, second))
        for protocol in protocols:
            scores = _scores(sources, protocol)
            values = halves_tau(scores)
            yield _row(f"{quoted(protocol)}, halves of the seeds", scores, values.mean(), values.min(), values.max())
        for protocol in protocols:
            theirs = _published(sources, protocol)
            ours = _scores(sources, protocol, [*theirs])
            yield _row(f"{quoted(protocol)} and the published order", theirs, *resampled_tau(ours, theirs))

    return PageTable(name, ["orders", "methods", "tau", "low", "high"], rows)


def paired_tests(scores: Scores) -> list[float]:
    """Return the p value of a paired t-test over seeds for each pair of methods; a pair has its own variance."""
    return [paired_p(scores[first], scores[second]) for first, second in combinations(scores, 2)]


def pooled_tests(scores: Scores) -> list[float]:
    """Return the p value of each pair of methods by a variance that all methods share.

    The scores are a randomised block design: seeds are blocks, methods are treatments. The variance is that of the
    residuals of a two-way analysis of variance without interaction, with ``(seeds - 1) * (methods - 1)`` degrees of
    freedom. See D. C. Montgomery, Design and Analysis of Experiments, chapter 4.
    """
    values = scores.to_numpy()
    means = values.mean(axis=0)
    residuals = values - means - values.mean(axis=1, keepdims=True) + values.mean()
    freedom = (len(values) - 1) * (values.shape[1] - 1)
    error = np.sqrt(2 * (residuals**2).sum() / freedom / len(values))
    pairs = combinations(means, 2)
    return [float(2 * stats.t.sf(abs(first - second) / error, freedom)) for first, second in pairs]


def order_tau(first: Means, second: Means) -> Means:
    """Return Kendall's tau-b between mean scores ``[..., M]`` of the same methods; NaN if one has equal scores only."""
    one, other = (np.sign(means[..., :, None] - means[..., None, :]) for means in (first, second))
    with np.errstate(invalid="ignore"):
        agreement = (one * other).sum((-2, -1)) / np.sqrt((one**2).sum((-2, -1)) * (other**2).sum((-2, -1)))
    return np.asarray(agreement)


def resampled_tau(first: Scores, second: Scores) -> tuple[float, float, float]:
    """Return tau and its percentile interval at :data:`LEVEL` over resampled seeds.

    Seeds are drawn for each list of scores on its own. A seed is drawn with the scores of all methods.
    """
    generator = numpy_generator(0, "orders")
    both = [first.to_numpy(), second[first.columns].to_numpy()]
    drawn = [scores[generator.integers(len(scores), size=(RESAMPLES, len(scores)))].mean(axis=1) for scores in both]
    low, high = np.nanquantile(order_tau(*drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(order_tau(*(scores.mean(axis=0) for scores in both))), float(low), float(high)


def halves_tau(scores: Scores) -> Means:
    """Return tau between two halves of the seeds, for every way to halve them; one half is larger for an odd number."""
    values, rows = scores.to_numpy(), range(len(scores))
    halves = [[row in chosen for row in rows] for chosen in combinations(rows, len(rows) // 2)]
    means = [[values[np.equal(half, side)].mean(axis=0) for half in halves] for side in (True, False)]
    return order_tau(*np.array(means))


def _row(label: str, scores: Scores, *values: float) -> list[str]:
    return [label, str(scores.shape[1]), *(f"{value:.2f}" for value in values)]


def _scores(sources: Sources, protocol: str, methods: Sequence[str] = (), people: int = PEOPLE) -> Scores:
    """Return the scores of methods (default: all ranked methods) with the seeds that all of them have."""
    shown = methods or sources.ranked()
    return pd.DataFrame({method: sources.scores(protocol, method, people=people) for method in shown}).dropna()


def _published(sources: Sources, protocol: str) -> Scores:
    """Return the published mAP of the ranked methods that have one, as a single row."""
    figures = choose(read_figures(sources.folder / "published.csv"))
    found = {method: find_published(figures, method, protocol, 1) for method in sources.ranked()}
    values = {method: entry.shown.value("mAP") for method, entry in found.items() if entry is not None}
    return pd.DataFrame([values], dtype=float).dropna(axis=1)
