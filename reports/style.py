"""Figures of reports: one column of a paper wide, in the shared style."""

from __future__ import annotations

import re
import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from usvi_bench.core import figure_style
from usvi_bench.core.files import write_bytes

PALETTE, NEUTRAL, styled = figure_style.PALETTE, figure_style.NEUTRAL, figure_style.styled
LITERAL = {"text.parse_math": False}
"""Argument of ``styled``: names with ``$``, which may come from a record, are shown as they are."""
VISIBLE, INFRARED = PALETTE[0], PALETTE[3]
RIGHT, WRONG = PALETTE[2], PALETTE[3]
MODALITY_COLOURS = {"visible": VISIBLE, "infrared": INFRARED}
MARKERS = {"visible": "o", "infrared": "^"}
LOOKS: list[dict[str, Any]] = [
    {"color": colour, "linestyle": dashes, "marker": marker}
    for colour, dashes, marker in zip(
        (PALETTE[i] for i in (0, 1, 2, 4, 3, 7, 5, 9)), ("-", "--", "-.", ":") * 2, "osD^vPX*", strict=True
    )
]
"""Line styles that differ in colour, dashes and marker."""
WIDTH = 85 / 25.4
"""Width of one column of a paper, in inches."""
DPI = 300
SMALL = 5.5
"""Size of the smallest text in figures, in points."""
_FOOT = 76
"""Number of letters per line at this size."""


def empty_figure(height: float) -> Figure:
    """Create a figure outside pyplot, without a window; ``height`` in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(
    columns: int = 1, height: float = 2.0, rows: int = 1, ratios: tuple[float, ...] | None = None
) -> tuple[Figure, list[Axes]]:
    """Create a figure with a grid of panels, returned row by row.

    Args:
        columns: number of columns.
        height: height of the whole figure in inches.
        rows: number of rows.
        ratios: relative heights of the rows.
    """
    figure = empty_figure(height)
    return figure, list(figure.subplots(rows, columns, squeeze=False, height_ratios=ratios).ravel())


def shared_legend(figure: Figure, columns: int = 4) -> None:
    """Add one legend below all panels, with each label once, in as many columns as fit (at most ``columns``)."""
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
    """Write a footer with the data of the figure (n, seeds) into it, so that copies of the figure keep it.

    The figure grows by the lines of the footer. Everything else keeps its position and size.
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
    """Compute the layout once, so that all files have the same layout and saving is faster."""
    figure.set_dpi(DPI)
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    for axes in figure.axes:  # the last digits of the solver vary
        axes.set_position(tuple(np.round(axes.get_position(original=True).bounds, 6)))


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``path`` + ``.svg`` and ``.png`` atomically, without dates, so that equal figures have equal bytes."""
    _lay_out(figure)
    raster = BytesIO()
    FigureCanvasAgg(figure).print_png(raster, metadata={"Software": None})
    for kind, made in (
        ("png", raster.getvalue()),
        ("svg", figure_style.encode_svg(figure)),
    ):  # last: it changes the resolution
        write_bytes(path.with_name(f"{path.name}.{kind}"), made)
