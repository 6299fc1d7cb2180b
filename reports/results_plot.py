"""Results of several methods: a dot and an interval over seeds for each, with the published value beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from usvi_bench.core.markdown import plain
from usvi_bench.core.record import Record
from usvi_bench.leaderboard import published
from usvi_bench.leaderboard.published import PAPER_NAMES, choose, find_published, read_figures
from usvi_bench.reports.groups import Group, scope
from usvi_bench.reports.page import Picture
from usvi_bench.reports.site.intervals import CONFIDENCE, half_interval
from usvi_bench.reports.style import COLUMN, LOOKS, SMALL, WRONG, new_figure, shared_legend

METRICS = ("mAP", "R1")
PUBLISHED = Path(published.__file__).with_name("published.csv")


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a method, in percent: the value of each seed and the published value by metric."""

    label: str
    values: dict[str, list[float]]
    published: dict[str, float]


def results(groups: Sequence[Group]) -> list[Result]:
    """Collect the results of groups with scores. Published values are given only for real test images."""
    return [
        Result(
            group.label,
            {metric: [100 * value for value in group.values(metric)] for metric in METRICS},
            published_values(group.runs[0].record),
        )
        for group in groups
        if group.values("mAP")
    ]


def published_values(record: Record) -> dict[str, float]:
    """Return the published value of each metric, for a run on real images that has one."""
    result = record.result
    other = result.trained_on is not None or result.donors is not None
    if other or result.dataset["synthetic"] is not None or result.method not in PAPER_NAMES:
        return {}
    entry = find_published(
        choose(read_figures(PUBLISHED)), result.method, result.protocol, result.headline["shots"] or 0
    )
    values = {metric: entry.shown.value(metric) for metric in METRICS} if entry else {}
    return {metric: value for metric, value in values.items() if value is not None}


def results_figure(found: Sequence[Result], width: float = COLUMN) -> Figure:
    """Draw one row per method and one panel per metric."""
    beside = any(result.published for result in found)
    figure, panels = new_figure(2, height=(0.32 if beside else 0.25) * len(found) + 0.6, width=width)
    colour = LOOKS[0]["color"]
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL}
    for axes, metric in zip(panels, METRICS, strict=True):
        for row, result in enumerate(found):
            values = result.values[metric]
            mean, half = fmean(values), half_interval(values)
            if len(values) > 1:
                ends = [mean - half, mean + half]
                axes.plot(ends, [row, row], color=colour, linewidth=1.4, label=f"{CONFIDENCE:.0%} interval")
                dots: dict[str, Any] = {"color": colour, "markersize": 2, "alpha": 0.5, "markeredgewidth": 0}
                axes.plot(values, [row + 0.22] * len(values), "o", label="one seed", **dots)
            axes.plot(mean, row, "o", color=colour, markersize=3.5, label="mean over seeds")
            axes.annotate(f"{mean:.1f}", (mean, row), (0, 2.5), va="bottom", ha="center", **text)
            if metric in result.published:
                value = result.published[metric]
                axes.plot(value, row + 0.45, "D", color=WRONG, markersize=3, markerfacecolor="white", label="published")
                axes.annotate(f"{value:.1f}", (value, row + 0.45), (4, 0), va="center", color=WRONG, **text)
        axes.set(ylim=(len(found) - 0.3, -0.8), xlabel=f"{metric} (%)")
        axes.set_yticks(
            range(len(found)), [each.label for each in found] if metric == METRICS[0] else [""] * len(found)
        )
        axes.margins(x=0.12)
    shared_legend(figure)
    return figure


def results_picture(name: str, groups: Sequence[Group]) -> Picture | None:
    """Build the figure of a set of comparable runs; None without scores."""
    found = results(groups)
    if not found:
        return None
    shown = [group for group in groups if group.values("mAP")]
    several = any(len(result.values["mAP"]) > 1 for result in found)
    line = f"Line: {CONFIDENCE:.0%} interval of the mean over seeds (Student's t)." if several else ""
    single = [result.label for result in found if len(result.values["mAP"]) == 1]
    alone = f"One seed, no interval: {plain(', '.join(single))}." if single else ""
    beside = "Diamond: published value on the same data set." if any(result.published for result in found) else ""
    caption = " ".join(part for part in ("Mean over seeds, folds and trials.", line, alone, beside) if part)
    alt = "; ".join(
        f"{each.label} " + ", ".join(f"{m} {fmean(each.values[m]):.1f} %" for m in METRICS) for each in found
    )
    return Picture(
        f"results-{name}", "Results", caption, alt, lambda width: results_figure(found, width), scope(name, shown)
    )
