"""Figures that compare several methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from usvi_bench.reports.bootstrap import Difference, Unit
from usvi_bench.reports.curves import from_zero, series_of
from usvi_bench.reports.groups import Group
from usvi_bench.reports.style import LOOKS, NEUTRAL, SMALL, new_figure, shared_legend

CURVES = {
    "clusters visible": "visible clusters",
    "clusters infrared": "infrared clusters",
    "ARI visible": "visible ARI",
    "ARI infrared": "infrared ARI",
    "match precision": "match precision",
    "match recall": "match recall",
}
"""Compared series and their axis labels."""


def overlay_figure(groups: Sequence[Group]) -> Figure:
    """Draw each series of :data:`CURVES` that any run has in its own panel, with one line style per method."""
    drawn = {group.label: [series_of(run.epochs) for run in group.runs] for group in groups}
    names = [name for name in CURVES if any(name in series for runs in drawn.values() for series in runs)]
    rows = -(-len(names) // 2)
    figure, panels = new_figure(2, rows=rows, height=1.25 * rows + 0.35)
    for axes, name in zip(panels, names, strict=True):
        for (label, runs), look in zip(drawn.items(), _looks(len(drawn)), strict=True):
            longest = max(len(series["learning rate"]) for series in runs) if runs else 0
            values = [series.get(name, np.full(longest, np.nan)) for series in runs]
            values = [np.pad(part, (0, longest - len(part)), constant_values=np.nan) for part in values]
            known = np.isfinite(values).any(axis=0)
            epochs = np.flatnonzero(known) + 1
            part = np.array(values)[:, known]
            axes.plot(epochs, np.nanmean(part, axis=0), label=label, **{**look, "markevery": max(1, longest // 12)})
            axes.fill_between(
                epochs, np.nanmin(part, axis=0), np.nanmax(part, axis=0), color=look["color"], alpha=0.15, lw=0
            )
        if name.startswith("clusters"):
            people = next(iter(drawn.values()))[0][name.replace("clusters", "people")][0]
            axes.axhline(people, color=NEUTRAL, linestyle=(0, (1, 1)), linewidth=0.8)
        axes.set_ylabel(CURVES[name])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        from_zero(axes)
    for axes in panels[-2:]:
        axes.set_xlabel("epoch")
    shared_legend(figure, columns=3)
    return figure


def differences_figure(found: Sequence[tuple[Group, Group, str, Unit, Difference]]) -> Figure:
    """Draw differences: one row per pair, one panel per metric; filled markers if the interval excludes 0."""
    shown = [entry for entry in found if entry[3] == "person"]
    pairs = list(dict.fromkeys(f"{better.label} -\n{worse.label}" for worse, better, *_ in shown))
    figure, panels = new_figure(2, height=0.27 * len(pairs) + 0.5)
    for axes, metric in zip(panels, ("mAP", "R1"), strict=True):
        for place, (_, _, _, _, difference) in enumerate(entry for entry in shown if entry[2] == metric):
            colour = LOOKS[0]["color"] if difference.clear else NEUTRAL
            axes.plot([difference.low, difference.high], [place, place], color=colour, linewidth=1.4)
            fill = colour if difference.clear else "white"
            axes.plot(difference.difference, place, "o", color=colour, markerfacecolor=fill, markersize=4)
        axes.axvline(0, color=NEUTRAL, linewidth=0.8)
        axes.set(ylim=(len(pairs) - 0.5, -0.5), xlabel=f"difference of {metric} (points)")
        axes.set_yticks(range(len(pairs)), pairs if metric == "mAP" else [""] * len(pairs), fontsize=SMALL)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=""))
    return figure


def _looks(count: int) -> list[dict[str, Any]]:
    return [LOOKS[i % len(LOOKS)] for i in range(count)]
