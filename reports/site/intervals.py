"""Dots and intervals in the cells of a table; positions are percentages, so that a column may have any width."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup
from scipy import stats

from usvi_bench.core.table import Cell

DRAWN = "mAP, 95 % interval"
"""Heading of the column."""
CONFIDENCE = 0.95
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Distances of two ticks, as fractions; there are at most :data:`TICKS` of them above 0."""
TICKS = 5


def half_interval(values: Sequence[float]) -> float:
    """Return half the width of Student's confidence interval of a mean over seeds; 0 for a single seed.

    >>> round(half_interval([0.1, 0.2, 0.3]), 4)
    0.2484
    """
    n = len(values)
    if n < 2:
        return 0.0
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)


def draw_rows(scores: Sequence[pd.Series[float]], chance: float | None) -> list[Cell]:
    """Draw the scores of each row, which are fractions over seeds, on one scale from 0.

    Args:
        scores: scores of each row.
        chance: score of a random ranking, drawn as a line through all rows, or None.
    """
    step, top = _scale(scores)
    lines = [(_at(k * step, top), "scale") for k in range(round(top / step) + 1)]
    lines += [] if chance is None else [(_at(chance, top), "chance")]
    behind = "".join(f'<line class="{name}" x1="{x}" x2="{x}" y1="0" y2="100%"/>' for x, name in lines)
    return [_row(values.dropna().tolist(), top, behind) for values in scores]


def draw_axis(scores: Sequence[pd.Series[float]]) -> Markup:
    """Draw the ticks of the scale in percent."""
    step, top = _scale(scores)
    ticks = [k * step for k in range(round(top / step) + 1)]
    texts = "".join(f'<text x="{_at(tick, top)}" y="11">{100 * tick:.0f}</text>' for tick in ticks)
    return Markup(f'<svg class="axis" width="100%" height="14" aria-hidden="true">{texts}</svg>')


def _scale(scores: Sequence[pd.Series[float]]) -> tuple[float, float]:
    """Return the distance of two ticks, and the last tick, which is above all intervals."""
    found = [values.dropna().tolist() for values in scores]
    ends = [max(max(values), float(np.mean(values)) + half_interval(values)) for values in found if values]
    highest = min(max([STEPS[0], *ends]), 1.0)
    step = next((step for step in STEPS if highest <= TICKS * step), STEPS[-1])
    return step, step * math.ceil(round(highest / step, 6))


def _row(values: Sequence[float], top: float, behind: str) -> Cell:
    if not values:
        return Cell()
    mean, reach = float(np.mean(values)), half_interval(values)
    seeds = [f'<circle class="seed" cx="{_at(v, top)}" cy="50%" r="2.5"/>' for v in values if len(values) > 1]
    low, high = _at(max(mean - reach, 0), top), _at(min(mean + reach, top), top)
    line = f'<line class="reach" x1="{low}" x2="{high}" y1="50%" y2="50%"/>' if reach else ""
    svg = '<svg class="interval" width="100%" height="100%" aria-hidden="true">'
    dot = f'<circle cx="{_at(mean, top)}" cy="50%" r="4.5"/>'
    return Cell(value=mean, drawing=Markup(f"{svg}{behind}{line}{''.join(seeds)}{dot}</svg>"))


def _at(value: float, top: float) -> str:
    return f"{100 * value / top:.2f}%"
