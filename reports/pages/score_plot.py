"""Figure of README: mAP of each method with its confidence interval. The SVG stores a digest of the data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from usvi_bench.core.figure_style import encode_svg, styled
from usvi_bench.reports.pages.sources import Seeds, Sources
from usvi_bench.reports.site.intervals import CONFIDENCE, half_interval

PROTOCOLS = {"sysu_all": "SYSU-MM01 layout (sysu_all)", "regdb_v2i": "RegDB layout (regdb_v2i)"}
"""Protocols of the panels, from left to right, and their titles."""
REFERENCES = {"supervised": "supervised (true identities)", "untrained": "untrained"}
"""Unranked rows: the first is above all methods, the last below."""
CHANCE = "chance"
WIDTH, HEIGHT = 9.0, 4.1
"""Size of the figure in inches."""
ROOM = 42
"""Space for the printed mean of a row, in points."""
SIZES = {"font.size": 9.5, "xtick.labelsize": 9, "ytick.labelsize": 9.5, "axes.titlesize": 10, "axes.labelsize": 9}
SIZES["legend.fontsize"] = 8.5


@dataclass(frozen=True, slots=True)
class Theme:
    """Theme: colours of the figure for a light or dark screen."""

    text: str
    quiet: str
    accent: str
    grid: str


THEMES = {
    "scores.svg": Theme(text="#1f2328", quiet="#6e7781", accent="#0969da", grid="#d8dee4"),
    "scores-dark.svg": Theme(text="#e6edf3", quiet="#8b949e", accent="#58a6ff", grid="#30363d"),
}
"""Files of the figure; the background is transparent in both."""


def plotted_scores(sources: Sources) -> dict[str, dict[str, Seeds]]:
    """Collect mAP in percent by protocol, method and seed; chance is one of the methods."""
    names = [*sources.ranked(), *REFERENCES, CHANCE]
    return {protocol: {name: sources.scores(protocol, name) for name in names} for protocol in PROTOCOLS}


def scores_digest(scores: Mapping[str, Mapping[str, Seeds]]) -> str:
    """Hash the plotted data."""
    shown = {p: {m: [round(v, 6) for v in seeds] for m, seeds in found.items()} for p, found in scores.items()}
    return "sha256:" + hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def draw_scores(scores: Mapping[str, Mapping[str, Seeds]], theme: Theme) -> bytes:
    """Draw the figure in the colours of a theme, as SVG."""
    colours: dict[str, Any] = {"text.color": theme.text, "axes.edgecolor": theme.grid, "grid.color": theme.grid}
    colours |= dict.fromkeys(("axes.labelcolor", "xtick.color", "ytick.color"), theme.text)
    clear = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none")
    with styled({**SIZES, **colours, **clear, "axes.grid.axis": "x", "axes.spines.left": False}):
        title = "mAP of every method on synthetic people"
        return encode_svg(scores_figure(scores, theme), Title=title, Identifier=scores_digest(scores))


def scores_figure(scores: Mapping[str, Mapping[str, Seeds]], theme: Theme) -> Figure:
    """Draw one panel per protocol, with methods sorted by their mean in the first panel."""
    first = next(iter(scores.values()))
    methods = sorted(first.keys() - {*REFERENCES, CHANCE}, key=lambda name: (-first[name].mean(), name))
    top, bottom = REFERENCES
    names = [top, *methods, bottom]
    figure = Figure(figsize=(WIDTH, HEIGHT))
    panels = figure.subplots(1, len(scores), sharey=True, width_ratios=[1.45, 1])
    figure.subplots_adjust(left=0.24, right=0.99, top=0.83, bottom=0.175, wspace=0.1)
    for axes, (protocol, found) in zip(panels, scores.items(), strict=True):
        for row, name in enumerate(names):
            _draw_row(axes, row, found[name], theme.quiet if name in REFERENCES else theme.accent, theme)
        _draw_chance(axes, float(found[CHANCE].mean()), theme)
        seeds = max(len(found[name]) for name in methods)
        axes.set_title(f"{PROTOCOLS[protocol]}, {seeds} seeds", loc="left", color=theme.text)
        points = 72 * WIDTH * axes.get_position().width
        ends = max(_end(found[name]) for name in names)
        axes.set(xlim=(0, ends * points / (points - ROOM)), xlabel="mAP (%)")
        axes.tick_params(length=0)
        axes.tick_params(axis="y", pad=7)
    panels[0].set(yticks=range(len(names)), yticklabels=[REFERENCES.get(name, name) for name in names])
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    figure.text(0.008, 0.945, "Scores on synthetic people", weight="bold", size=12)
    _draw_legend(figure, theme)
    return figure


def _draw_row(axes: Axes, row: int, values: Seeds, colour: str, theme: Theme) -> None:
    mean, reach = float(values.mean()), half_interval(values.tolist())
    if len(values) > 1:
        axes.plot(values, [row + 0.27] * len(values), "o", color=colour, alpha=0.55, markersize=3.2, markeredgewidth=0)
    axes.plot([mean - reach, mean + reach], [row, row], color=colour, linewidth=2.4, solid_capstyle="round")
    axes.plot([mean], [row], "o", color=colour, markersize=7)
    axes.annotate(f"{mean:.1f}", (_end(values), row), (8, 0), textcoords="offset points", va="center", color=theme.text)


def _end(values: Seeds) -> float:
    """Return the right end of a row: of its interval or of its highest seed."""
    return max(float(values.mean()) + half_interval(values.tolist()), float(values.max()))


def _draw_chance(axes: Axes, level: float, theme: Theme) -> None:
    axes.axvline(level, color=theme.quiet, linewidth=1, linestyle=(0, (2, 2)))
    place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 8.5}
    axes.annotate(f"chance {level:.1f}", (level, 0), (4, 0), color=theme.quiet, **place)


def _draw_legend(figure: Figure, theme: Theme) -> None:
    colour = theme.accent
    handles = [
        Line2D([], [], ls="", marker="o", markersize=7, color=colour, label="mean over training seeds"),
        Line2D([], [], linewidth=2.4, color=colour, label=f"{CONFIDENCE:.0%} confidence interval"),
        Line2D([], [], ls="", marker="o", markersize=3.2, color=colour, alpha=0.55, label="one training seed"),
    ]
    figure.legend(handles=handles, loc="lower right", bbox_to_anchor=(0.99, -0.005), ncols=3, labelcolor=theme.text)
