"""Confused pairs of people: wrong images at rank 1 in the ranking of the protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from usvi_bench.core.formatting import person_name
from usvi_bench.datasets.base import ImageTable
from usvi_bench.protocols.evaluation_file import DEPTH, SavedEvaluation
from usvi_bench.reports.ranking import BLANK, Images, opened
from usvi_bench.reports.style import COLUMN, NEUTRAL, RIGHT, SMALL, WRONG, new_figure

SHOWN = 6
"""Number of pairs in the figure and in the table."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Pair of confused people: queries of ``person`` with an image of ``other`` at rank 1.

    Attributes:
        count: number of these queries.
        queries: number of valid queries of ``person``.
        query: row of the first of these queries.
        gallery: row of its image at rank 1.
        right: row of the best-ranked image of ``person`` within the kept ranks, else of the first one in the gallery.
    """

    person: int
    other: int
    count: int
    queries: int
    query: int
    gallery: int
    right: int


def confused_pairs(evaluation: SavedEvaluation) -> list[Pair]:
    """Count all confused pairs, sorted by number of queries, then by share (largest first)."""
    valid = ~np.isnan(evaluation.average_precision) & (evaluation.order[:, 0] >= 0)
    people = evaluation.query.identities
    first = evaluation.gallery.identities[evaluation.order[:, 0]]
    wrong = np.flatnonzero(valid & ~evaluation.matches[:, 0])
    found: dict[tuple[int, int], list[int]] = {}
    for row in wrong.tolist():
        found.setdefault((int(people[row]), int(first[row])), []).append(row)
    number, times = np.unique(people[valid], return_counts=True)
    queries = dict(zip(number.tolist(), times.tolist(), strict=True))
    pairs = [
        Pair(
            person=person,
            other=other,
            count=len(rows),
            queries=queries[person],
            query=rows[0],
            gallery=int(evaluation.order[rows[0], 0]),
            right=_right(evaluation, rows[0]),
        )
        for (person, other), rows in found.items()
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.count / pair.queries, pair.person, pair.other))


def _right(evaluation: SavedEvaluation, row: int) -> int:
    ranked = evaluation.order[row][evaluation.matches[row]]
    found = ranked if len(ranked) else np.flatnonzero(evaluation.gallery.identities == evaluation.query.identities[row])
    return int(found[0]) if len(found) else -1


def confusion_figure(
    evaluation: SavedEvaluation, pairs: list[Pair], images: Images | None, width: float = COLUMN
) -> Figure:
    """Draw the most confused pairs: query, wrong image at rank 1, right image, and the number of such queries.

    Images that cannot be opened are blank.
    """
    columns = 3 if width == COLUMN else SHOWN
    rows = -(-min(len(pairs), SHOWN) // columns)
    figure, panels = new_figure(columns, rows=rows, height=(0.98 if width == COLUMN else 1.05) * rows, width=width)
    for axes, pair in zip(panels, pairs[:SHOWN], strict=False):
        _side(axes, 0.0, evaluation.query, pair.query, images)
        _side(axes, 1.1, evaluation.gallery, pair.gallery, images)
        axes.text(0.5, -0.05, str(pair.person), ha="center", fontsize=SMALL)
        axes.text(1.6, -0.05, f"✗ {person_name(pair.other)}", ha="center", fontsize=SMALL, color=WRONG)
        if pair.right >= 0:
            _side(axes, 2.2, evaluation.gallery, pair.right, images)
            axes.text(2.7, -0.05, f"✓ {pair.person}", ha="center", fontsize=SMALL, color=RIGHT)
        axes.set(xlim=(-0.05, 3.25), ylim=(2.5, -0.35))
        axes.text(1.6, 2.1, f"{pair.count} of {pair.queries} queries", ha="center", va="top", fontsize=SMALL)
    for axes in panels:
        axes.axis("off")
    return figure


def confusion_caption(evaluation: SavedEvaluation, pairs: list[Pair]) -> str:
    """Return the caption of the figure."""
    wrong = sum(pair.count for pair in pairs)
    valid = int(np.sum(~np.isnan(evaluation.average_precision)))
    return (
        f"The {min(len(pairs), SHOWN)} most confused of {len(pairs)} pairs of people. Left: the first such query "
        f"({evaluation.query.modality}) and the number of its person; middle (✗): the {evaluation.gallery.modality} "
        "gallery image at rank 1, of another person; right (✓): an image of the query's person in the gallery, the "
        f"best-ranked one if it is among the first {DEPTH}. Below: number of valid queries of the person with the "
        f"other person at rank 1. In total, {wrong} of {valid} valid queries have a wrong person at rank 1."
    )


def _side(axes: Axes, x: float, table: ImageTable, row: int, images: Images | None) -> None:
    picture = opened(images, table, row)
    axes.imshow(BLANK if picture is None else picture, extent=(x, x + 1, 2, 0), aspect="equal")
    if picture is None:
        axes.text(
            x + 0.5, 1, str(person_name(table.identities[row])), ha="center", va="center", fontsize=SMALL, color=NEUTRAL
        )
