"""Figures of ranked lists, drawn from the ranking that the protocol scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from usvi_bench.core.formatting import person_name
from usvi_bench.datasets.base import ImageTable
from usvi_bench.protocols.evaluation_file import DEPTH, SavedEvaluation
from usvi_bench.reports.pictures import read_picture
from usvi_bench.reports.style import COLUMN, NEUTRAL, RIGHT, SMALL, WRONG, empty_figure

Images = Callable[[ImageTable, int], NDArray[np.uint8]]
"""Function that opens an image of a table, ``[H, W, 3]``; it raises OSError if this fails."""
Colour = tuple[float, float, float]

QUANTILES = {"best": 0.0, "upper quartile": 0.25, "median": 0.5, "lower quartile": 0.75, "worst": 1.0}
WORST = 5
"""Number of queries in the figure of the worst queries."""
PRINTED = (140, 280)
"""Largest width and height of an image in pixels."""
BLANK = np.full((2, 1, 3), 235, dtype=np.uint8)
# In tile widths; a tile is 1 wide and 2 high, the shape of the network's input.
_QUERY, _FIRST, _PITCH, _HEAD = 2.2, 3.45, 1.12, 0.5
_SOUGHT = _FIRST + DEPTH * _PITCH + 0.25


def open_image(table: ImageTable, row: int) -> NDArray[np.uint8]:
    """Read an image of a table as RGB, ``[H, W, 3]``, at most as large as two columns print it at 300 dpi.

    Raises:
        OSError: the path is not a regular file, or the image is damaged or very large.
    """
    picture = read_picture(table.root / table.paths[row], table.box(row))
    picture.thumbnail(PRINTED)
    return np.asarray(picture)


def opened(images: Images | None, table: ImageTable, row: int) -> NDArray[np.uint8] | None:
    """Open an image of a table; None without a function to open it, or if that fails."""
    try:
        return images(table, row) if images else None
    except OSError:
        return None


def by_precision(average_precision: NDArray[np.float64]) -> NDArray[np.int64]:
    """Sort the rows of valid queries by average precision, highest first; ties in table order."""
    valid = np.flatnonzero(~np.isnan(average_precision))
    return valid[np.argsort(-average_precision[valid], kind="stable")]


def choose_queries(average_precision: NDArray[np.float64], people: NDArray[np.int64]) -> dict[str, int]:
    """Choose the rows at :data:`QUANTILES` of :func:`by_precision`, by quantile name.

    The best and the worst query are always shown. At the median, then at the quartiles, it is the nearest query of a
    person that is not chosen yet.

    Args:
        average_precision: ``[Q]``; NaN where a query is invalid.
        people: ``[Q]`` identities of the queries.
    """
    order = by_precision(average_precision)
    chosen = {name: int(order[place]) for name, place in (("worst", -1), ("best", 0)) if len(order)}
    chosen = chosen if len(order) > 1 else {name: row for name, row in chosen.items() if name == "best"}
    for name in ("median", "upper quartile", "lower quartile"):
        free = np.flatnonzero(~np.isin(people[order], people[list(chosen.values())]))
        if len(free):
            place = round(QUANTILES[name] * (len(order) - 1))
            chosen[name] = int(order[free[np.argmin(np.abs(free - place))]])
    return {name: chosen[name] for name in QUANTILES if name in chosen}


def worst_queries(evaluation: SavedEvaluation) -> dict[str, int]:
    """Choose the rows with the lowest average precision, worst first, at most one per person."""
    people: dict[int, int] = {}
    for row in by_precision(evaluation.average_precision)[::-1].tolist():
        people.setdefault(int(evaluation.query.identities[row]), row)
    return {f"worst {place}": row for place, row in enumerate(list(people.values())[:WORST], start=1)}


def ranking_figure(
    evaluation: SavedEvaluation,
    images: Images | None,
    chosen: Mapping[str, int],
    sought: bool = False,
    width: float = COLUMN,
) -> Figure:
    """Draw queries with their ten best gallery images; frames and symbols mark right and wrong images.

    Args:
        evaluation: ranked lists.
        images: function that opens a test image; None for blank tiles, as of images that cannot be opened.
        chosen: rows of the queries, by label.
        sought: whether to add the first gallery image of the query's person, at any rank.
        width: width of the figure in inches; in two columns of a paper, the letters are larger.
    """
    size, line_height, space = (SMALL, 3.15, "\n") if width == COLUMN else (SMALL + 2, 2.8, " ")
    height = _HEAD + line_height * len(chosen)
    total = _SOUGHT + _PITCH + 0.2 if sought else _FIRST + DEPTH * _PITCH
    figure = empty_figure(height * width / total, width)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, total), ylim=(height, 0))
    axes.axis("off")
    for column, title in enumerate(["query", *map(str, range(1, DEPTH + 1))]):
        x = _QUERY if column == 0 else _FIRST + (column - 1) * _PITCH
        axes.text(x + 0.5, _HEAD - 0.12, title, ha="center", fontsize=size)
    if sought:
        axes.text(_SOUGHT + 0.5, _HEAD - 0.12, "sought", ha="center", fontsize=size)
    for line, (name, row) in enumerate(chosen.items()):
        y = _HEAD + line * line_height
        person, precision = evaluation.query.identities[row], evaluation.average_precision[row]
        words = name.replace(" quartile", "\nquartile")
        words += f"\nperson{space}{person}\nAP {100 * precision:.1f}%"
        axes.text(0.05, y + 1, words, va="center", fontsize=size)
        camera = f"cam {evaluation.query.cameras[row]}"
        _tile(axes, (_QUERY, y), evaluation.query, row, images, (camera, NEUTRAL, size))
        for rank in np.flatnonzero(evaluation.order[row] >= 0):
            column, right = evaluation.order[row, rank], evaluation.matches[row, rank]
            note = f"{_mark(right)} c{evaluation.gallery.cameras[column]}\n{evaluation.scores[row, rank]:.2f}"
            corner = _FIRST + rank * _PITCH, y
            look = (note, RIGHT if right else WRONG, size)
            _tile(axes, corner, evaluation.gallery, column, images, look, not right)
        for column in np.flatnonzero(evaluation.gallery.identities == person)[: int(sought)]:
            note = f"c{evaluation.gallery.cameras[column]}"
            _tile(axes, (_SOUGHT, y), evaluation.gallery, column, images, (note, NEUTRAL, size))
    return figure


def ranking_caption(evaluation: SavedEvaluation) -> str:
    """Return the caption of the figure of ranked lists, with the rule for choosing queries."""
    valid = int(np.sum(~np.isnan(evaluation.average_precision)))
    return (
        f"{_scope(evaluation)} The {valid} valid queries are sorted by average precision, ties by path. Shown are the "
        "first, those at a quarter, half and three quarters, and the last; for a person that is shown already, the "
        f"nearest query of another person. {_KEY}"
    )


def worst_caption(evaluation: SavedEvaluation) -> str:
    """Return the caption of the figure of the worst queries."""
    return (
        f"{_scope(evaluation)} Shown are the {WORST} queries with the lowest average precision, at most one per "
        f"person. The last column has a gallery image of the query's person. {_KEY}"
    )


_KEY = (
    "Below each image: right (✓, solid frame) or wrong (✗, dashed frame) person, camera (c), cosine similarity. "
    "Images are scaled to one size."
)


def _scope(evaluation: SavedEvaluation) -> str:
    return (
        f"{evaluation.query.modality.capitalize()} queries and the {DEPTH} best of {len(evaluation.gallery)} "
        f"{evaluation.gallery.modality} gallery images, as ranked by the protocol in the first trial."
    )


def _mark(right: bool) -> str:
    return "✓" if right else "✗"


def _tile(
    axes: Axes,
    corner: tuple[float, float],
    table: ImageTable,
    row: int,
    images: Images | None,
    look: tuple[str, Colour, float],
    dashed: bool = False,
) -> None:
    """Draw a framed image. ``look``: note below, its colour and size."""
    (x, y), (note, colour, size) = corner, look
    picture = opened(images, table, row)
    axes.imshow(BLANK if picture is None else picture, extent=(x, x + 1, y + 2, y), aspect="auto")
    style = (0, (2, 1)) if dashed else "-"
    axes.add_patch(Rectangle(corner, 1, 2, fill=False, edgecolor=colour, linewidth=1.1, linestyle=style))
    axes.text(x + 0.5, y + 2.1, note, ha="center", va="top", fontsize=size, color=colour, linespacing=0.95)
    if picture is None:
        axes.text(
            x + 0.5,
            y + 1,
            str(person_name(table.identities[row])),
            ha="center",
            va="center",
            fontsize=size,
            color=NEUTRAL,
        )
