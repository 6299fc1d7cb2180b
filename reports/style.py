"""Figures of reports: one or two columns of a paper wide, in the shared style."""

from __future__ import annotations

import re
import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from PIL import Image

from usvi_bench.core import figure_style
from usvi_bench.core.files import write_bytes

PALETTE, NEUTRAL, styled = figure_style.PALETTE, figure_style.NEUTRAL, figure_style.styled
LITERAL = {"text.parse_math": False}
"""Argument of ``styled``: names with ``$``, which may come from a record, are shown as they are."""
RIGHT, WRONG = PALETTE[2], PALETTE[3]
MODALITY_COLOURS = {"visible": PALETTE[0], "infrared": PALETTE[3]}
MARKERS = {"visible": "o", "infrared": "^"}
LOOKS: list[dict[str, Any]] = [
    {"color": colour, "linestyle": dashes, "marker": marker}
    for colour, dashes, marker in zip(
        (PALETTE[i] for i in (0, 1, 2, 4, 3, 7, 5, 9)), ("-", "--", "-.", ":") * 2, "osD^vPX*", strict=True
    )
]
"""Line styles that differ in colour, dashes and marker."""


def looks(count: int) -> list[dict[str, Any]]:
    """Return line styles for ``count`` lines; from the ninth on, colours and markers recur with other dashes."""
    styles = len(LOOKS)
    return [{**LOOKS[i % styles], "linestyle": LOOKS[(i + i // styles) % styles]["linestyle"]} for i in range(count)]


COLUMN, PAGE = 85 / 25.4, 170 / 25.4
"""Widths of one column and of two columns of a paper, in inches."""
WIDTHS = {"": COLUMN, "-wide": PAGE}
"""Widths of every figure, by the end of its file names."""
KINDS = ("pdf", "svg", "png")
"""Formats of every figure."""
DPI = 300
SMALL = 6.0
"""Size of the smallest text in figures, in points."""
_TOGETHER = re.compile(r"\b(?:n =|\w+: seeds?|seeds?) (?=\d)")
"""Words of a footer that stay in one line with the number after them."""
_LETTER = 0.53 * SMALL / 72
"""Mean width of a letter of this size, in inches."""


def empty_figure(height: float, width: float = COLUMN) -> Figure:
    """Create a figure outside pyplot, without a window; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(
    columns: int = 1,
    height: float = 2.0,
    rows: int = 1,
    ratios: tuple[float, ...] | None = None,
    width: float = COLUMN,
) -> tuple[Figure, list[Axes]]:
    """Create a figure with a grid of panels, returned row by row.

    Args:
        columns: number of columns.
        height: height of the whole figure in inches.
        rows: number of rows.
        ratios: relative heights of the rows.
        width: width of the whole figure in inches.
    """
    figure = empty_figure(height, width)
    return figure, list(figure.subplots(rows, columns, squeeze=False, height_ratios=ratios).ravel())


def show_percent(axis: Axis) -> None:
    """Label the ticks of an axis of fractions in percent, without the sign and without needless decimals."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))


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
    width, height = figure.get_size_inches()
    text = wrapped(_TOGETHER.sub(lambda words: words[0].replace(" ", "\xa0"), text), width)
    _lay_out(figure)
    grown = height + 1.5 * SMALL / 72 * (1 + text.count("\n"))
    figure.set_size_inches(width, grown)
    kept = height / grown
    for axes in figure.axes:
        box = axes.get_position(original=True)
        axes.set_position((box.x0, 1 - kept * (1 - box.y0), box.width, kept * box.height))
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 1 - kept, 1, kept), figure.transFigure)
    for title in figure.texts:
        title.set_y(1 - kept * (1 - title.get_position()[1]))
    figure.text(0.5, 0.25 * SMALL / 72 / grown, text, ha="center", va="bottom", fontsize=SMALL, color=NEUTRAL)


def wrapped(text: str, width: float) -> str:
    """Wrap a small text to the fewest lines that fit a width in inches, of about equal length."""
    most = int(width / _LETTER)
    lines = textwrap.wrap(text, most)
    shorter = (textwrap.wrap(text, length) for length in range(1 + len(text) // max(len(lines), 1), most))
    return "\n".join(next((found for found in shorter if len(found) == len(lines)), lines))


def _lay_out(figure: Figure) -> None:
    """Compute the layout once, so that all files have the same layout and saving is faster."""
    figure.set_dpi(DPI)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    for axes in figure.axes:  # the last digits of the solver vary
        axes.set_position(tuple(np.round(axes.get_position(original=True).bounds, 6)))


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``path`` + ``.pdf``, ``.svg`` and ``.png`` atomically, without dates: equal figures have equal bytes."""
    _lay_out(figure)
    made = {"png": _png(figure)}
    for image in (image for axes in figure.axes for image in axes.images):
        image.set_interpolation("none")  # vector formats hold the pixels of the picture itself, in both widths
    made |= {"pdf": figure_style.encode_pdf(figure), "svg": figure_style.encode_svg(figure)}
    for kind, content in made.items():
        write_bytes(path.with_name(f"{path.name}.{kind}"), content)


def _png(figure: Figure) -> bytes:
    """Return a figure as PNG, before the vector formats, which change its resolution.

    A figure without pictures has few colours. A palette of 256 makes its file a third as large.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    if not any(axes.images for axes in figure.axes):
        image = image.quantize(256)
    made = BytesIO()
    image.save(made, "PNG", dpi=(DPI, DPI))
    return made.getvalue()
