"""Published mAP over the years as SVG, written by hand: the same bytes with every version of every library.

Colours follow the reader's light or dark scheme. Every point says on hover what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple
from xml.sax.saxutils import escape

from usvi_bench.leaderboard.published import Published, ordered
from usvi_bench.leaderboard.score_table import PROTOCOLS

WIDTH, HEIGHT = 380, 270
"""Size of one panel."""
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 30, 34
COLUMNS = 2
LEGEND = 30
LINES = ("unsupervised", "supervised")
"""Settings whose best figure so far is drawn as a line."""
LEGENDS = {
    "unsupervised": "unsupervised (no labels)",
    "semi": "semi-supervised (some labels)",
    "supervised": "supervised (all labels)",
}
STYLE = """<style>
.field { --unsupervised: #0a58a8; --semi: #a3560a; --supervised: #667085; --ink: #1d2430;
  --rule: #d9dee6; --paper: #fff;
  font: 11px system-ui, sans-serif; color: var(--ink) }
@media (prefers-color-scheme: dark) { .field { --unsupervised: #7cb8f5; --semi: #efab62; --supervised: #98a2b3;
  --ink: #e6e9ef; --rule: #39414e; --paper: #14181f } }
.field text { fill: currentColor } .field .title { font-size: 13px; font-weight: 600 }
.field .grid { stroke: var(--rule); fill: none } .field .line { fill: none; stroke-width: 1.5; opacity: .55 }
.field .unsupervised { fill: var(--unsupervised); stroke: var(--unsupervised) }
.field .semi { fill: var(--semi); stroke: var(--semi) }
.field .supervised { fill: var(--paper); stroke: var(--supervised); stroke-width: 1.5 }
.field path.line { fill: none } .field text.name { stroke: none; fill: var(--unsupervised) }
</style>"""


class Point(NamedTuple):
    """A figure where it stands in its panel."""

    x: float
    y: float
    entry: Published


def draw_field(published: Sequence[Published]) -> str:
    """All panels under one legend, as a file of its own."""
    drawn = [name for name in PROTOCOLS if _dated(published, name)]
    rows = -(-len(drawn) // COLUMNS)
    cells = zip(drawn, product(range(rows), range(COLUMNS)), strict=False)
    return "\n".join(
        [
            *_open(COLUMNS * WIDTH, rows * HEIGHT + LEGEND, "Published mAP over the years"),
            f'<g transform="translate({LEFT} 18)">{_legend()}</g>',
            *(
                f'<g transform="translate({column * WIDTH} {row * HEIGHT + LEGEND})">\n{_panel(published, name)}\n</g>'
                for name, (row, column) in cells
            ),
            "</svg>\n",
        ]
    )


def draw_panel(published: Sequence[Published], protocol: str) -> str:
    """One protocol's panel as a picture of its own; empty where no figure has a year."""
    if not _dated(published, protocol):
        return ""
    head = _open(WIDTH, HEIGHT, f"Published mAP over the years: {PROTOCOLS[protocol]}")
    return "\n".join([*head, _panel(published, protocol), "</svg>\n"])


def draw_marks() -> dict[str, str]:
    """Every mark as a picture of its own, by what it means."""
    size = 'viewBox="-6 -6 12 12" width="12" height="12" aria-hidden="true"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="field" {size}>'
    return {words: f"{head}{STYLE}{_mark(setting, 0, 0)}</svg>" for setting, words in LEGENDS.items()}


def _open(width: int, height: int, title: str) -> list[str]:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="field" role="img" {size}>',
        f"<title>{title}</title>",
        STYLE,
    ]


def _legend() -> str:
    parts, x = [], 0
    for setting, words in LEGENDS.items():
        parts.append(f'{_mark(setting, x, -4)}<text x="{x + 9}">{words}</text>')
        x += 34 + 6 * len(words)
    return "".join(parts)


def _dated(published: Sequence[Published], protocol: str) -> list[Published]:
    return [e for e in ordered(published, protocol) if e.shown.year is not None and "mAP" in e.shown.metrics]


def _panel(published: Sequence[Published], protocol: str) -> str:
    entries = _dated(published, protocol)
    years = [entry.shown.year or 0 for name in PROTOCOLS for entry in _dated(published, name)]
    first, last = min(years), max(years)
    points = list(_points(entries, first, last))
    return "\n".join(
        [
            f'<text class="title" x="{LEFT}" y="16">{PROTOCOLS[protocol]}</text>',
            *_axes(first, last),
            *(_best_so_far(points, setting) for setting in LINES),
            *(f"{_mark(p.entry.shown.setting, p.x, p.y, _words(p.entry))}" for p in reversed(points)),
            *_names(points),
        ]
    )


def _across(year: float, first: int, last: int) -> float:
    return LEFT + (year - first + 0.5) / (last - first + 1) * (WIDTH - LEFT - RIGHT)


def _up(value: float) -> float:
    return TOP + (100 - value) / 100 * (HEIGHT - TOP - BOTTOM)


def _axes(first: int, last: int) -> Iterator[str]:
    for value in range(0, 101, 20):
        yield f'<path class="grid" d="M{LEFT} {_up(value):.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{_up(value) + 4:.1f}" text-anchor="end">{value}</text>'
    for year in range(first, last + 1):
        x, y = _across(year, first, last), HEIGHT - BOTTOM + 15
        yield f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{year}</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 4}">mAP (%) by year of publication</text>'


def _points(entries: Sequence[Published], first: int, last: int) -> Iterator[Point]:
    """Figures of a year side by side, so that none hides another."""
    for year in range(first, last + 1):
        mine = sorted((e for e in entries if e.shown.year == year), key=lambda e: e.shown.value("mAP") or 0)
        for i, entry in enumerate(mine):
            offset = (i + 0.5) / len(mine) - 0.5
            yield Point(_across(year + 0.7 * offset, first, last), _up(entry.shown.value("mAP") or 0), entry)


def _mark(setting: str, x: float, y: float, words: str = "") -> str:
    title = f"<title>{escape(words)}</title>" if words else ""
    if setting == "semi":
        return f'<path class="semi" d="M{x:.1f} {y - 4.5:.1f}l4.5 8h-9z">{title}</path>'
    return f'<circle class="{setting}" cx="{x:.1f}" cy="{y:.1f}" r="3.6">{title}</circle>'


def _words(entry: Published) -> str:
    shown = entry.shown
    return (
        f"{shown.method} ({shown.venue or 'venue unknown'} {shown.year}): mAP {shown.metrics['mAP']}, {shown.evidence}"
    )


def _records(points: Sequence[Point], setting: str) -> list[Point]:
    """Points that were the highest of their setting when they appeared."""
    best: list[Point] = []
    for point in points:
        if point.entry.shown.setting == setting and (not best or point.y < best[-1].y):
            best.append(point)
    return best


def _best_so_far(points: Sequence[Point], setting: str) -> str:
    best = _records(points, setting)
    if not best:
        return ""
    steps = "".join(f"H{point.x:.1f}V{point.y:.1f}" for point in best[1:])
    return f'<path class="line {setting}" d="M{best[0].x:.1f} {best[0].y:.1f}{steps}H{WIDTH - RIGHT}"/>'


def _names(points: Sequence[Point]) -> Iterator[str]:
    """The unsupervised method that led each year, named below or above its point where there is room."""
    leading = {point.entry.shown.year: point for point in _records(points, "unsupervised")}
    taken = [(point.x - 4, point.y - 4, point.x + 4, point.y + 4) for point in points]
    for point in leading.values():
        name = point.entry.shown.method
        half = 3.4 * len(name)
        x = min(max(point.x, LEFT + half), WIDTH - RIGHT - half)
        for y in (point.y + 16, point.y - 7, point.y + 28, point.y + 40):
            box = (x - half, y - 9, x + half, y + 1)
            if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                taken.append(box)
                yield f'<text class="name" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(name)}</text>'
                break
