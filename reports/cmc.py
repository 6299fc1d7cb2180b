"""CMC curves of several methods, with a band over their seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from usvi_bench.core.formatting import counted
from usvi_bench.core.markdown import plain
from usvi_bench.protocols.base import QueryScores
from usvi_bench.reports.groups import Group, scope
from usvi_bench.reports.page import Picture
from usvi_bench.reports.style import COLUMN, looks, new_figure, shared_legend, show_percent

SHOWN = 20
"""Number of ranks of the curve."""
Curve = NDArray[np.float64]


def cmc(folds: Mapping[int, QueryScores]) -> Curve:
    """Return the share of valid queries with a right image within the first 1 to :data:`SHOWN` ranks.

    It is the mean over trials and folds, as in the leaderboard.
    """
    trials = [first[first >= 0] for scores in folds.values() for first in scores.first_match_rank]
    found: Curve = np.mean([(first[:, None] <= np.arange(SHOWN)).mean(axis=0) for first in trials], axis=0)
    return found


def cmc_curves(groups: Sequence[Group]) -> dict[str, Curve]:
    """Return the curve of each seed, ``[seeds, 20]``, by the label of the group; groups lacking queries are omitted."""
    return {
        group.label: np.stack([cmc(run.queries or {}) for run in group.runs])
        for group in groups
        if all(run.queries for run in group.runs)
    }


def cmc_figure(curves: dict[str, Curve], width: float = COLUMN) -> Figure:
    """Draw the mean curve of each method and, for several seeds, the range of its seeds as a band."""
    figure, (axes,) = new_figure(height=2.3 if width == COLUMN else 2.9, width=width)
    ranks = np.arange(1, SHOWN + 1)
    for (label, shares), look in zip(curves.items(), looks(len(curves)), strict=True):
        axes.plot(ranks, shares.mean(axis=0), label=label, markevery=[0, 4, 9, 19], clip_on=False, **look)
        if len(shares) > 1:
            axes.fill_between(ranks, shares.min(axis=0), shares.max(axis=0), color=look["color"], alpha=0.2, lw=0)
    axes.set(xlabel="rank", ylabel="queries with a right image (%)", xlim=(1, SHOWN), xticks=[1, 5, 10, 15, 20])
    axes.set_ylim(0, min(1.0, 1.05 * max(float(shares.max()) for shares in curves.values())))
    show_percent(axes.yaxis)
    shared_legend(figure, columns=3 if width == COLUMN else 6)
    return figure


def cmc_picture(name: str, groups: Sequence[Group]) -> Picture | None:
    """Build the figure of a set of comparable runs; None if no run has the results of its queries."""
    curves = cmc_curves(groups)
    if not curves:
        return None
    shown = [group for group in groups if group.label in curves]
    folds = shown[0].runs[0].queries or {}
    valid = sum(int((scores.first_match_rank >= 0).any(axis=0).sum()) for scores in folds.values())
    trials = len(next(iter(folds.values())).first_match_rank)
    banded, single = ([label for label, c in curves.items() if (len(c) > 1) == many] for many in (True, False))
    parts = [
        f"Band: range over the seeds of {plain(', '.join(banded))}." if banded else "",
        f"No band: {plain(', '.join(single))} with one seed." if single else "",
    ]
    caption = (
        "Share of the valid queries with a right image within the first ranks, 1 to 20; mean over trials, folds "
        f"and seeds. {' '.join(part for part in parts if part)}"
    )
    alt = "; ".join(
        f"{label} R1 {100 * shares[:, 0].mean():.1f} %, R20 {100 * shares[:, -1].mean():.1f} %"
        for label, shares in curves.items()
    )
    foot = f"{scope(name, shown)}; n = {valid} valid queries, {counted(len(folds), 'fold')}, {counted(trials, 'trial')}"
    return Picture(
        f"cmc-{name}", "Cumulative matching (CMC)", caption, alt, lambda width: cmc_figure(curves, width), foot
    )
