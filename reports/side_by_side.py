"""Figures that compare several methods."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from usvi_bench.reports.bootstrap import Difference, Unit
from usvi_bench.reports.curves import Span, from_zero, mark_stages, name_stages, series_of, stage_spans
from usvi_bench.reports.groups import Group
from usvi_bench.reports.style import COLUMN, LOOKS, NEUTRAL, SMALL, looks, new_figure, shared_legend, show_percent

CURVES = {
    "clusters visible": "visible clusters",
    "clusters infrared": "infrared clusters",
    "ARI visible": "visible ARI",
    "ARI infrared": "infrared ARI",
    "match precision": "match precision",
    "match recall": "match recall",
}
"""Compared series and their axis labels."""


def overlay_figure(groups: Sequence[Group], width: float = COLUMN) -> Figure:
    """Draw each series of :data:`CURVES` that any run has in its own panel, with one line style per method."""
    spans = shared_spans([stage_spans(run.epochs) for group in groups for run in group.runs])
    drawn = {group.label: [series_of(run.epochs) for run in group.runs] for group in groups}
    names = [name for name in CURVES if any(name in series for runs in drawn.values() for series in runs)]
    columns = 2 if width == COLUMN else 3
    rows = -(-len(names) // columns)
    figure, panels = new_figure(columns, rows=rows, height=1.25 * rows + 0.45, width=width)
    for axes in panels[len(names) :]:
        axes.remove()
    for axes, name in zip(panels, names, strict=False):
        for (label, runs), look in zip(drawn.items(), looks(len(drawn)), strict=True):
            longest = max(len(series["seconds a step"]) for series in runs)  # every journal has it
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
            if people:  # unknown for images without identities
                axes.axhline(people, color=NEUTRAL, linestyle=(0, (1, 1)), linewidth=0.8)
        axes.set_ylabel(CURVES[name])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        from_zero(axes)
        mark_stages(axes, spans)
    for axes in panels[max(0, len(names) - columns) : len(names)]:
        axes.set_xlabel("epoch")
    name_stages(figure, spans)
    shared_legend(figure, columns=3 if width == COLUMN else 6)
    return figure


def shared_spans(runs: Sequence[Sequence[Span]]) -> list[Span]:
    """Return the stages of several runs with the names of each; empty if the runs' stages start at different epochs.

    >>> shared_spans([[("base", 1, 4), ("pgm", 5, 8)], [("base", 1, 4), ("adca", 5, 8)], [("base", 1, 4)]])
    [('base', 1, 4), ('pgm or adca', 5, 8)]
    """
    found: list[Span] = []
    for stages in zip_longest(*runs):
        present = [stage for stage in stages if stage is not None]
        if len({first for _, first, _ in present}) > 1:
            return []
        names = " or ".join(dict.fromkeys(name for name, *_ in present))
        found.append((names, present[0][1], max(last for *_, last in present)))
    return found


def differences_figure(found: Sequence[tuple[Group, Group, str, Unit, Difference]], width: float = COLUMN) -> Figure:
    """Draw differences: one row per pair, one panel per metric; filled markers if the interval excludes 0."""
    shown = [entry for entry in found if entry[3] == "person"]
    pairs = list(dict.fromkeys(f"{better.label} -\n{worse.label}" for worse, better, *_ in shown))
    figure, panels = new_figure(2, height=0.27 * len(pairs) + 0.5, width=width)
    for axes, metric in zip(panels, ("mAP", "R1"), strict=True):
        for place, (_, _, _, _, difference) in enumerate(entry for entry in shown if entry[2] == metric):
            colour = LOOKS[0]["color"] if difference.clear else NEUTRAL
            axes.plot([difference.low, difference.high], [place, place], color=colour, linewidth=1.4)
            fill = colour if difference.clear else "white"
            axes.plot(difference.difference, place, "o", color=colour, markerfacecolor=fill, markersize=4)
        axes.axvline(0, color=NEUTRAL, linewidth=0.8)
        axes.set(ylim=(len(pairs) - 0.5, -0.5), xlabel=f"Δ{metric} (points)")
        axes.set_yticks(range(len(pairs)), pairs if metric == "mAP" else [""] * len(pairs), fontsize=SMALL)
        show_percent(axes.xaxis)
    return figure
