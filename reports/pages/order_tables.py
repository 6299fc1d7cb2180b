"""Documentation tables of the order of methods: pairs that the seeds distinguish, and agreement between orders.

The agreement is Kendall's tau-b of two lists of mean mAP: 1 for equal orders, -1 for reversed ones, about 0 for
unrelated ones. "Is Synthetic Dataset Reliable for Benchmarking Generalizable Person Re-Identification?"
(arXiv 2209.05047) compares rankings on synthetic and real people by this figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from usvi_bench.core.seeding import numpy_generator
from usvi_bench.leaderboard.published import choose, find_published, read_figures
from usvi_bench.leaderboard.significance import P_VALUE, holm, paired_p
from usvi_bench.reports.pages.page_table import PageTable, quoted
from usvi_bench.reports.pages.sources import PEOPLE, Sources

RESAMPLES = 1000
LEVEL = 0.95

Scores = pd.DataFrame  # mAP in percent: a row for each seed, a column for each method
Means = NDArray[np.float64]


def separation_table(name: str, methods: Sequence[str], protocols: Sequence[str]) -> PageTable:
    """Specify a table of the pairs of methods whose scores differ significantly, for each protocol."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        for protocol in protocols:
            scores = _scores(sources, protocol, methods)
            found, pairs = distinguished(scores), len(methods) * (len(methods) - 1) // 2
            yield [quoted(protocol), str(len(scores)), str(pairs), f"{found} ({100 * found / pairs:.0f} %)"]

    return PageTable(name, ["", "n", "pairs", "distinguished"], rows)


def agreement_table(
    name: str,
    methods: Sequence[str],
    boards: Sequence[tuple[str, str]],
    protocols: Sequence[str],
    others: Mapping[str, int] = MappingProxyType({}),
) -> PageTable:
    """Specify a table of the agreement between orders of methods.

    Args:
        name: name of the table.
        methods: methods to order.
        boards: pairs of protocols to compare.
        protocols: protocols to compare with the published figures, and whose seeds are halved.
        others: data seed of other people by protocol; the order on them is compared with that of the leaderboard.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for pair in boards:
            first, second = (_scores(sources, protocol, methods) for protocol in pair)
            yield _row(" and ".join(map(quoted, pair)), methods, *resampled_tau(first, second))
        for protocol, people in others.items():
            first, second = (_scores(sources, protocol, methods, seed) for seed in (PEOPLE, people))
            yield _row(f"{quoted(protocol)}, people {PEOPLE} and {people}", methods, *resampled_tau(first, second))
        for protocol in protocols:
            values = halves_tau(_scores(sources, protocol, methods))
            yield _row(f"{quoted(protocol)}, halves of the seeds", methods, values.mean(), values.min(), values.max())
        for protocol in protocols:
            elsewhere = _published(sources, protocol, methods)
            ours = _scores(sources, protocol, [*elsewhere])
            theirs = pd.DataFrame([elsewhere])
            yield _row(f"{quoted(protocol)} and the published order", [*elsewhere], *resampled_tau(ours, theirs))

    return PageTable(name, ["orders", "methods", "tau", "low", "high"], rows)


def distinguished(scores: Scores) -> int:
    """Count the pairs of methods with a paired t-test of p < 0.05 after Holm's correction for all pairs."""
    tests = [paired_p(scores[first].dropna(), scores[second].dropna()) for first, second in combinations(scores, 2)]
    return sum(p < P_VALUE for p in holm(tests))


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


def _row(label: str, methods: Sequence[str], *values: float) -> list[str]:
    return [label, str(len(methods)), *(f"{value:.2f}" for value in values)]


def _scores(sources: Sources, protocol: str, methods: Sequence[str], people: int = PEOPLE) -> Scores:
    return pd.DataFrame({method: sources.scores(protocol, method, people=people) for method in methods}).dropna()


def _published(sources: Sources, protocol: str, methods: Sequence[str]) -> Mapping[str, float]:
    """Return the published mAP of the methods that have one."""
    figures = choose(read_figures(sources.folder / "published.csv"))
    found = {method: find_published(figures, method, protocol, 1) for method in methods}
    values = {method: entry.shown.value("mAP") for method, entry in found.items() if entry is not None}
    return {method: value for method, value in values.items() if value is not None}
