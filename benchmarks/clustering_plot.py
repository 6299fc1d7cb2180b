"""Plot of the time and memory of labelling against the number of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from usvi_bench.reports.style import NEUTRAL, PALETTE, new_figure, save_figure, shared_legend, styled

SERIES: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("modality", "naive"): ("dense definition", {"color": NEUTRAL, "marker": "s", "linestyle": "--"}),
    ("modality", "ours"): ("ours", {"color": PALETTE[0], "marker": "o"}),
    ("joint", "naive"): ("dense definition, joint", {"color": NEUTRAL, "marker": "D", "markerfacecolor": "white"}),
    ("joint", "ours"): ("ours, joint", {"color": PALETTE[0], "marker": "D", "markerfacecolor": "white"}),
    ("growth", "exact"): ("ours, exact", {"color": PALETTE[2], "marker": "^"}),
    ("growth", "approximate"): (
        "ours, approximate",
        {"color": PALETTE[2], "marker": "^", "linestyle": ":", "markerfacecolor": "white"},
    ),
}
"""Name and style of each series, by kind of row and implementation."""
PANELS = {"wall": "seconds", "extra_mib": "extra memory, MiB"}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Plot a table of :mod:`usvi_bench.benchmarks.clustering` to ``path`` + ``.png``, ``.svg`` and ``.pdf``."""
    with styled():
        figure, panels = new_figure(len(PANELS), height=3.4)
        for axes, (figure_of, title) in zip(panels, PANELS.items(), strict=True):
            _panel(axes, rows, figure_of)
            axes.set(xscale="log", yscale="log", xlabel="images", title=title)
            for axis in (axes.xaxis, axes.yaxis):
                low, high = axis.get_view_interval()
                axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
                axis.set_minor_locator(NullLocator())
                axis.set_major_formatter(EngFormatter(sep="") if axis is axes.xaxis else "{x:g}")
        shared_legend(figure, columns=3)
        save_figure(figure, path)


def _panel(axes: Axes, rows: list[dict[str, Any]], figure_of: str) -> None:
    for (kind, path), (name, look) in SERIES.items():
        widths = sorted({row["dimension"] for row in rows if row["kind"] == kind and path in row["paths"]})
        for width in widths:
            chosen = [r for r in rows if (r["kind"], r["dimension"]) == (kind, width) and path in r["paths"]]
            points = sorted((row["size"], row["paths"][path][figure_of]) for row in chosen)
            axes.plot(*zip(*points, strict=True), label=f"{name}, {width}-d", **look)
