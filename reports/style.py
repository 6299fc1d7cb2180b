"""The one look of all figures: Agg, a quiet grid, colours that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib
import seaborn
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from engine.files import void, write_atomically

PALETTE: list[tuple[float, float, float]] = seaborn.color_palette("colorblind")
VISIBLE, INFRARED = PALETTE[0], PALETTE[3]
RIGHT, WRONG, NEUTRAL = PALETTE[2], PALETTE[3], (0.45, 0.45, 0.45)
MODALITY_COLOURS = {"visible": VISIBLE, "infrared": INFRARED}
MARKERS = {"visible": "o", "infrared": "^"}
WIDTH = 7.2
"""Inches; one text column of a page."""
DPI = 160


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save figures inside; the settings of the caller come back afterwards."""
    look = {
        **seaborn.axes_style("whitegrid"),
        **seaborn.plotting_context("paper"),
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.family": ["DejaVu Sans"],
        "grid.color": "0.9",
        "axes.edgecolor": "0.6",
        "axes.titlesize": 9,
        "legend.frameon": True,
        "legend.framealpha": 0.9,
    }
    with matplotlib.rc_context(look):
        yield


def empty_figure(height: float) -> Figure:
    """A figure that belongs to no window and to no global list of figures; ``height`` in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(columns: int = 1, height: float = 2.9) -> tuple[Figure, list[Axes]]:
    """A figure with a row of panels."""
    figure = empty_figure(height)
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def shared_legend(figure: Figure, columns: int = 4) -> None:
    """One legend below all panels, where it hides no data; every label once."""
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(columns, len(handles)))


def save_png(figure: Figure, path: Path) -> None:
    """Write atomically, without the date and version that would make equal pictures differ."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_atomically(path, lambda file: void(file.write(buffer.getvalue())))
