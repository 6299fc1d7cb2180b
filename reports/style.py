"""The one look of all figures: a paper's column wide, a quiet grid, colours that colour-blind readers tell apart."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import seaborn
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from usvi_bench.core.files import write_bytes

PALETTE: list[tuple[float, float, float]] = seaborn.color_palette("colorblind")
VISIBLE, INFRARED = PALETTE[0], PALETTE[3]
RIGHT, WRONG, NEUTRAL = PALETTE[2], PALETTE[3], (0.4, 0.4, 0.4)
MODALITY_COLOURS = {"visible": VISIBLE, "infrared": INFRARED}
MARKERS = {"visible": "o", "infrared": "^"}
LOOKS: list[dict[str, Any]] = [
    {"color": colour, "linestyle": dashes, "marker": marker}
    for colour, dashes, marker in zip(
        (PALETTE[i] for i in (0, 1, 2, 4, 3, 7, 5, 9)), ("-", "--", "-.", ":") * 2, "osD^vPX*", strict=True
    )
]
"""Lines that are told apart by colour, by dashes and by marker."""
WIDTH = 85 / 25.4
"""Inches; one column of a paper."""
DPI = 300
SMALL = 5.5
"""Points; the smallest text of a figure."""
_FOOT = 76
"""Letters that fit into the width at that size."""
_LOOK: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.6",
    "axes.linewidth": 0.6,
    "axes.labelpad": 2,
    "axes.titlepad": 3,
    "xtick.major.pad": 1.5,
    "ytick.major.pad": 1.5,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 2.6,
    "patch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
    "image.composite_image": False,  # pictures keep their own resolution in vector files
    "svg.hashsalt": "usvi-bench",  # equal figures have equal bytes
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save figures inside; the settings of the caller come back afterwards."""
    with matplotlib.rc_context({**seaborn.axes_style("whitegrid"), **_LOOK}):
        yield


def empty_figure(height: float) -> Figure:
    """A figure that belongs to no window and to no global list of figures; ``height`` in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(
    columns: int = 1, height: float = 2.0, rows: int = 1, ratios: tuple[float, ...] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of panels, row after row.

    Args:
        columns: panels beside each other.
        height: in inches, of the whole figure.
        rows: panels above each other.
        ratios: relative heights of the rows.
    """
    figure = empty_figure(height)
    return figure, list(figure.subplots(rows, columns, squeeze=False, height_ratios=ratios).ravel())


def shared_legend(figure: Figure, columns: int = 4) -> None:
    """One legend below all panels, where it hides no data; every label once, in at most as many columns as fit."""
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    for count in range(min(columns, len(handles)), 0, -1):
        place = {"loc": "outside lower center", "ncols": count}
        legend = figure.legend(list(handles.values()), list(handles), **place)
        if count == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()


def stamp(figure: Figure, text: str) -> None:
    """State at the foot of the figure what it was made from (n, seeds), so that it is there wherever it is pasted.

    The figure grows by the lines of the foot; everything else keeps its place and size.
    """
    text = "\n".join(textwrap.wrap(re.sub(r"\b(seeds?|n =) (?=\d)", "\\1\xa0", text), _FOOT))
    _lay_out(figure)
    width, height = figure.get_size_inches()
    grown = height + 1.5 * SMALL / 72 * (1 + text.count("\n"))
    figure.set_size_inches(width, grown)
    kept = height / grown
    for axes in figure.axes:
        box = axes.get_position(original=True)
        axes.set_position((box.x0, 1 - kept * (1 - box.y0), box.width, kept * box.height))
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 1 - kept, 1, kept), figure.transFigure)
    figure.text(0.5, 0.25 * SMALL / 72 / grown, text, ha="center", va="bottom", fontsize=SMALL, color=NEUTRAL)


def _lay_out(figure: Figure) -> None:
    """Place everything once: equal in all files, and in half the time."""
    figure.set_dpi(DPI)
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    for axes in figure.axes:  # the solver's last digits vary
        axes.set_position(tuple(np.round(axes.get_position(original=True).bounds, 6)))


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``path`` + ``.svg`` and ``.png`` atomically, without the dates that would make equal figures differ."""
    _lay_out(figure)
    vector, raster = BytesIO(), BytesIO()
    FigureCanvasAgg(figure).print_png(raster, metadata={"Software": None})
    FigureCanvasSVG(figure).print_svg(
        vector, metadata={"Date": None, "Creator": None}
    )  # last: it changes the resolution
    for kind, made in (("svg", vector), ("png", raster)):
        write_bytes(path.with_name(f"{path.name}.{kind}"), made.getvalue())
