r"""Inequalities that hold for the metrics of every ranking, whatever the model.

Let a query have K matching images, at most ``positives``, at the ranks r_1 < ... < r_K among all ranked images. Then
AP = mean_i i/r_i and INP = K/r_K. If the CMC of the query misses rank k, at least k images precede the first match:

* AP <= A(K, k) = (1/K) sum_i i/(i+k), and INP <= K/(K+k). Both increase with K.
* If the CMC hits by rank k, at most k - 1 other units of at most ``unit`` images precede the first match, so
  AP >= 1 / (K (1 + (k-1) unit)).
* i/r_i >= i/r_K, so AP >= INP (K+1)/(2K). All but the last precision are at most 1, so AP <= 1 - (1-INP)/K.

AP >= INP is no theorem: matches at the ranks 2 and 3 of 3 give AP = 7/12 and INP = 2/3. All bounds are linear in the
shares of the queries, so they hold for means over queries, trials and folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from usvi_bench.core.metrics import METRICS, RANKS

LARGEST = 100_000
"""Largest number of matching images of a query, if nothing is known about the gallery."""
TOLERANCE = 1e-9
"""Largest error of a mean that was computed in double precision."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that a data set and a protocol set to the rankings.

    Attributes:
        positives: largest number of matching images of a query.
        unit: largest number of gallery images that the CMC counts once.
        queries: largest number of valid queries of a trial; None if it is unknown.
        exact: whether ``queries`` is the exact number.
    """

    positives: int = LARGEST
    unit: int = LARGEST
    queries: int | None = None
    exact: bool = False


def impossible(metrics: Mapping[str, float], limits: Limits) -> Iterator[str]:
    """Yield the inequalities that a set of metrics violates.

    >>> list(impossible({"R1": 0, "R5": 1, "R10": 1, "R20": 1, "mAP": 1, "mINP": 1}, Limits(positives=4)))
    ['mAP 1 is above 0.679166667, the most for its CMC', 'mINP 1 is above 0.8, the most for its CMC']
    """
    if missing := [name for name in METRICS if name not in metrics]:
        yield f"{missing[0]} is missing"
        return
    if not all(0 <= value <= 1 for value in metrics.values()):
        yield "a value is not between 0 and 1"
        return
    ranks = [metrics[f"R{rank}"] for rank in RANKS]
    if ranks != sorted(ranks):
        yield f"{', '.join(f'R{rank}' for rank in RANKS)} do not increase"
        return
    most, mean, penalty = limits.positives, metrics["mAP"], metrics["mINP"]
    shares = [after - before for before, after in zip([0.0, *ranks], [*ranks, 1.0], strict=True)]
    misses = [0, *RANKS]
    bound = sum(share * _best_precision(most, rank) for share, rank in zip(shares, misses, strict=True))
    if mean > bound + TOLERANCE:
        yield f"mAP {mean:.9g} is above {bound:.9g}, the most for its CMC"
    bound = sum(share * most / (most + rank) for share, rank in zip(shares, misses, strict=True))
    if penalty > bound + TOLERANCE:
        yield f"mINP {penalty:.9g} is above {bound:.9g}, the most for its CMC"
    hits = zip(shares[:-1], RANKS, strict=True)
    bound = sum(share / (1 + (rank - 1) * limits.unit) for share, rank in hits) / most
    bound = max(bound, penalty * (most + 1) / (2 * most))
    if mean < bound - TOLERANCE:
        yield f"mAP {mean:.9g} is below {bound:.9g}, the least for its CMC and mINP"
    bound = 1 - (1 - penalty) / most
    if mean > bound + TOLERANCE:
        yield f"mAP {mean:.9g} is above {bound:.9g}, the most for its mINP"


def precision_limits(rank: int, limits: Limits) -> tuple[float, float]:
    """Return the least and the largest average precision of a query by the zero-based rank of its first match.

    >>> precision_limits(3, Limits(positives=1, unit=1))
    (0.25, 0.25)
    """
    return 1 / (limits.positives * (1 + rank * limits.unit)), _best_precision(limits.positives, rank)


@cache
def _best_precision(positives: int, misses: int) -> float:
    ranks = np.arange(1, positives + 1)
    return float((ranks / (ranks + misses)).mean())


def possible_counts(rates: Sequence[float], limits: Limits) -> bool:
    """Return whether all rates are shares of one number of queries, within the limits; True if it is unknown.

    >>> possible_counts([0.5, 0.75], Limits(queries=10)), possible_counts([0.5, 0.7001], Limits(queries=10))
    (True, False)
    """
    if limits.queries is None:
        return True
    numbers = np.arange(limits.queries if limits.exact else 1, limits.queries + 1)
    counts = np.outer(rates, numbers)
    return bool((np.abs(counts - counts.round()) < TOLERANCE).all(axis=0).any())
