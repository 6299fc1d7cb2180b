"""Tables as the templates draw them: sortable, captioned, readable aloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from markupsafe import Markup

from usvi_bench.leaderboard.markdown import MISSING


class Link(NamedTuple):
    """Where a word leads; ``label`` is read aloud where the word alone says too little."""

    text: str
    href: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; ``value`` is what it is sorted by, where that is not its text.

    Attributes:
        spread: standard deviation, shown smaller.
        tag: a remark beside the text.
        strong: a significant lead.
    """

    text: str = ""
    value: float | None = None
    spread: str = ""
    tag: str = ""
    links: Sequence[Link] = ()
    drawing: Markup | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row; ``quiet`` ones are references that do not compete."""

    cells: Sequence[Cell]
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        words: how many leading columns hold words, left-aligned; the others hold figures.
        notes: sentences below it, in Markdown.
    """

    caption: str
    columns: Sequence[str]
    lines: Sequence[Line]
    words: int = 1
    notes: Sequence[str] = field(default_factory=tuple)


def figure_cell(mean: float | None, sd: float | None = None, *, strong: bool = False) -> Cell:
    """A fraction as percent; a dash where there is none."""
    if mean is None:
        return Cell(MISSING)
    return Cell(f"{100 * mean:.1f}", round(mean, 6), "" if sd is None else f"± {100 * sd:.1f}", strong=strong)


def interval(mean: float, sd: float | None, top: float) -> Markup:
    """A dot at the mean with a bar of one standard deviation either side, on a scale from 0 to ``top``."""
    width, at = 132, 4 + 124 * mean / top
    reach = 124 * (sd or 0.0) / top
    bar = f'<path d="M{max(at - reach, 0):.1f} 8H{min(at + reach, width):.1f}"/>' if sd else ""
    return Markup(
        f'<svg class="interval" viewBox="0 0 {width} 16" width="{width}" height="16" aria-hidden="true">'
        f'<path class="scale" d="M4 8H{width - 4}"/>{bar}<circle cx="{at:.1f}" cy="8" r="3.5"/></svg>'
    )
