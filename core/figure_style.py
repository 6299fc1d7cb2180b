"""Style of all figures: light grid, colour-blind-safe palette, files without dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
import seaborn
from cycler import cycler
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

PALETTE: list[tuple[float, float, float]] = seaborn.color_palette("colorblind")
NEUTRAL = (0.4, 0.4, 0.4)
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
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "image.composite_image": False,  # pictures keep their own resolution in vector files
    "svg.hashsalt": "usvi-bench",  # equal figures have equal bytes
    "pdf.fonttype": 42,  # whole letters of TrueType, which publishers ask for
}
_PIXELATED = b"image-rendering:crisp-edges;image-rendering:pixelated"
"""Style that matplotlib gives to pictures in their own resolution; browsers show them smoothly without it."""


@contextmanager
def styled(changes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Apply the style to figures in the block; restore the caller's settings after it.

    Args:
        changes: settings of matplotlib that differ from the shared look.
    """
    with matplotlib.rc_context({**seaborn.axes_style("whitegrid"), **_LOOK, **(changes or {})}):
        yield


def encode_svg(figure: Figure, **metadata: str) -> bytes:
    """Return a figure as SVG, without the dates that would make equal figures differ.

    Args:
        figure: its resolution is changed.
        metadata: terms of Dublin Core, as ``Identifier``.
    """
    made = BytesIO()
    FigureCanvasSVG(figure).print_svg(made, metadata={"Date": None, "Creator": None, **metadata})
    return made.getvalue().replace(_PIXELATED, b"")


def encode_pdf(figure: Figure) -> bytes:
    """Return a figure as PDF with embedded fonts, without the dates that would make equal figures differ.

    Args:
        figure: its resolution is changed.
    """
    made = BytesIO()
    FigureCanvasPdf(figure).print_pdf(made, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return made.getvalue()
