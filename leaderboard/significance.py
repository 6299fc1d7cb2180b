"""Significance test for bold figures: a paired t-test over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from scipy import stats

from usvi_bench.core.metrics import METRICS
from usvi_bench.leaderboard.score_rows import ScoreRow

SEEDS_FOR_TEST = 3
"""Minimum number of shared seeds for a test."""
P_VALUE = 0.05
BOLD_RULE = (
    f"the highest mean of a column, if a two-sided paired t-test over at least {SEEDS_FOR_TEST} shared seeds gives "
    f"p < {P_VALUE} against every other ranked row. Runs are paired because equal seeds draw equal batches. All tests "
    "must be significant, so no correction for their number is needed (Berger, Technometrics 24, 295-300, 1982). "
    "Chance, `untrained` and methods that use identities are not ranked."
)


def leaders(rows: Sequence[ScoreRow]) -> dict[str, str]:
    """Return the label of the leading row for each metric with a significant lead (see :data:`BOLD_RULE`)."""
    found = {}
    competing = [row for row in rows if row.competes]
    for metric in METRICS if len(competing) > 1 else ():
        best, *others = sorted(competing, key=lambda row: -row.values[metric].mean())
        mine = best.values[metric]
        if all(_leads(mine, other.values[metric]) for other in others):
            found[metric] = best.label
    return found


def _leads(first: pd.Series[float], second: pd.Series[float]) -> bool:
    """Return whether the first row is significantly higher over the shared seeds."""
    return bool((first - second).mean() > 0) and paired_p(first, second) < P_VALUE


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, in the given order (S. Holm, Scand. J. Statist. 6, 65-70, 1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - place) * values[index]))
        corrected[index] = largest
    return corrected


def paired_p(first: pd.Series[float], second: pd.Series[float]) -> float:
    """Return the two-sided p value of a paired t-test over shared seeds.

    The value is 1 if there are fewer than :data:`SEEDS_FOR_TEST` shared seeds or all differences are equal.
    """
    shared = first.index.intersection(second.index)
    difference = first[shared] - second[shared]
    if len(shared) < SEEDS_FOR_TEST or difference.std() < 1e-9:
        return 1.0
    t = difference.mean() / (difference.std() / math.sqrt(len(shared)))
    return float(2 * stats.t.sf(abs(t), len(shared) - 1))
