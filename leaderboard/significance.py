"""Which figures are bold: a lead that chance would not explain, tested seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from scipy import stats

from usvi_bench.core.metrics import METRICS
from usvi_bench.leaderboard.score_table import ScoreRow

SEEDS_FOR_TEST = 3
"""Fewest seeds that two rows must share for their difference to be tested."""
P_VALUE = 0.05
BOLD_RULE = (
    f"the highest mean of its column, where a two-sided paired t-test over seeds gives p < {P_VALUE} against each "
    f"other competing row, on at least {SEEDS_FOR_TEST} seeds that both have. Equal seeds draw equal batches, hence "
    "the pairs; since all tests must succeed, no correction for their number is needed (Berger, Technometrics 24, "
    "295-300, 1982). Chance, `untrained` and methods that use identities stand outside this comparison."
)


def leaders(rows: Sequence[ScoreRow]) -> dict[str, str]:
    """For each metric with a significant lead, the label of the leading row, by :data:`BOLD_RULE`."""
    found = {}
    competing = [row for row in rows if row.competes]
    for metric in METRICS if len(competing) > 1 else ():
        best, *others = sorted(competing, key=lambda row: -row.values[metric].mean())
        if all(paired_p(best.values[metric], other.values[metric]) < P_VALUE for other in others):
            found[metric] = best.label
    return found


def paired_p(first: pd.Series[float], second: pd.Series[float]) -> float:
    """Two-sided p of the mean difference over shared seeds; 1 where they are too few or differ by a constant."""
    shared = first.index.intersection(second.index)
    difference = first[shared] - second[shared]
    if len(shared) < SEEDS_FOR_TEST or difference.std() < 1e-9:
        return 1.0
    t = difference.mean() / (difference.std() / math.sqrt(len(shared)))
    return float(2 * stats.t.sf(abs(t), len(shared) - 1))
