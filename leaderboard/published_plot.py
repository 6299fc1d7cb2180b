"""Plot of published mAP over the years, one panel per protocol. The SVG stores a digest of the plotted figures."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from usvi_bench.core.figure_style import NEUTRAL, PALETTE, encode_svg, styled
from usvi_bench.leaderboard.published import Published, ordered
from usvi_bench.leaderboard.score_table import PROTOCOLS

PANEL, LEGEND_ROW = 2.6, 0.22
"""Inches: heights of a panel and of a row of the legend above all panels."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of the figure: panels per row, and its width in inches."""

    columns: int
    width: float


@dataclass(frozen=True, slots=True)
class Theme:
    """Theme: colours of the paper, of text, of the grid, and of each setting."""

    paper: str
    ink: str
    grid: str
    colours: Mapping[str, Any]


WIDE, NARROW = Layout(2, 9.0), Layout(1, 4.4)
"""Layouts for a page and for a phone."""
LOOKS = {
    "supervised": ("supervised (all labels)", "s"),
    "semi": ("semi-supervised (some labels)", "^"),
    "unsupervised": ("unsupervised (no labels)", "o"),
}
"""Label and marker of each setting; the last one is drawn on top."""
LIGHT = Theme("white", "0.15", "0.9", dict(zip(LOOKS, (NEUTRAL, PALETTE[1], PALETTE[0]), strict=True)))
DARK = Theme("#14181f", "#e6e9ef", "#313945", dict(zip(LOOKS, ("#a3adbd", "#f0b357", "#7cb8f5"), strict=True)))
LINES = ("supervised", "unsupervised")
"""Settings with a line through the best figure so far."""
OWN = ("own paper", "own repository")
"""Levels of evidence with filled markers."""
SIZES = {
    **dict.fromkeys(("font.size", "xtick.labelsize", "ytick.labelsize", "axes.labelsize", "legend.fontsize"), 8.5),
    **{"axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 6},
    **{"lines.markersize": 5, "lines.linewidth": 1.2, "axes.grid.axis": "y"},
}
FAR = 16
"""Vertical distance in points from which a line connects a marker with its name."""
PLACES = [(0, -6), (6, -5), (-6, 5), (0, 6), (7, 0), (-7, 0)]
PLACES += [(x, y) for far in (FAR, 26, 38, 50) for x, y in ((10, -far), (-10, far), (0, -far), (-14, -far), (0, far))]
"""Candidate offsets of a name from its marker, in points, the preferred ones first."""


class Point(NamedTuple):
    """Point of the plot: a published figure with its position; ``x`` in years, ``y`` in percent."""

    x: float
    y: float
    entry: Published


def figure_digest(published: Sequence[Published]) -> str:
    """Hash the plotted figures."""
    shown = [entry.shown for name in PROTOCOLS for entry in _dated(published, name)]
    drawn = [[f.protocol, f.method, f.year, f.setting, f.evidence, f.metrics["mAP"]] for f in shown]
    return "sha256:" + hashlib.sha256(json.dumps(drawn).encode()).hexdigest()


def digest_in(svg: bytes) -> str | None:
    """Read the digest stored in an SVG; None if it has none."""
    found = re.search(rb"<dc:identifier>(.*?)</dc:identifier>", svg)
    return found[1].decode() if found else None


def draw_published(published: Sequence[Published], layout: Layout = WIDE, theme: Theme = LIGHT) -> bytes:
    """Draw all panels and one legend, as SVG."""
    with styled(SIZES | _colours(theme)):
        title = "Published mAP over the years, by protocol and by the labels used in training"
        figure = published_figure(published, layout, theme)
        return encode_svg(figure, Title=title, Identifier=figure_digest(published))


def _colours(theme: Theme) -> dict[str, Any]:
    found = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.ink)
    found |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), theme.paper)
    return found | {"grid.color": theme.grid}


def published_figure(published: Sequence[Published], layout: Layout = WIDE, theme: Theme = LIGHT) -> Figure:
    """Draw the figure. Call it inside :func:`~usvi_bench.core.figure_style.styled`."""
    drawn = [name for name in PROTOCOLS if _dated(published, name)]
    rows = -(-len(drawn) // layout.columns)
    height = LEGEND_ROW * (2 if layout.columns > 1 else 6) + PANEL * rows
    figure = Figure(figsize=(layout.width, height))
    years = [entry.shown.year or 0 for name in drawn for entry in _dated(published, name)]
    for i, name in enumerate(drawn):
        row, column = divmod(i, layout.columns)
        left, bottom = 0.54 + layout.width * 0.97 / layout.columns * column, PANEL * (rows - 1 - row) + 0.3
        width = layout.width / layout.columns - 0.5
        axes = figure.add_axes((left / layout.width, bottom / height, width / layout.width, (PANEL - 0.65) / height))
        axes.set(title=PROTOCOLS[name], xlim=(min(years) - 0.5, max(years) + 0.5), ylim=(0, 100))
        axes.set(xticks=range(min(years), max(years) + 1), yticks=range(0, 101, 20))
        if column == 0:
            axes.set_ylabel("mAP (%)")
        _panel(axes, list(_points(_dated(published, name))), theme)
    _legend(figure, layout, theme)
    return figure


def _legend(figure: Figure, layout: Layout, theme: Theme) -> None:
    grey = theme.colours["supervised"]
    labels = [
        Line2D([], [], ls="", marker=mark, color=theme.colours[setting], label=words)
        for setting, (words, mark) in LOOKS.items()
    ]
    evidence = [
        Line2D([], [], ls="", marker="o", color=grey, markerfacecolor=face, label=words)
        for words, face in (("filled: given by its authors", grey), ("open: quoted by a later paper", theme.paper))
    ]
    line = Line2D([], [], color=grey, alpha=0.6, label="line: best so far")
    rows = [labels[::-1], [*evidence, line]]
    for row, handles in enumerate(rows if layout.columns > 1 else [[each] for each in itertools.chain(*rows)]):
        top = 1 - LEGEND_ROW * row / figure.get_figheight()
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.405 / layout.width, top), ncols=3)


def _dated(published: Sequence[Published], protocol: str) -> list[Published]:
    known = (entry for entry in ordered(published, protocol) if "mAP" in entry.shown.metrics)
    return [entry for entry in known if entry.shown.year is not None and not entry.shown.is_variant]


def _points(entries: Sequence[Published]) -> Iterator[Point]:
    """Spread the figures of a year horizontally, lowest first, so that markers do not overlap."""
    for year in sorted({entry.shown.year or 0 for entry in entries}):
        mine = sorted((e for e in entries if e.shown.year == year), key=lambda e: e.shown.value("mAP") or 0)
        for i, entry in enumerate(mine):
            yield Point(year + 0.75 * ((i + 0.5) / len(mine) - 0.5), entry.shown.value("mAP") or 0, entry)


def _panel(axes: Axes, points: Sequence[Point], theme: Theme) -> None:
    """Draw points, lines through the best figures so far, and the name of each year's best unsupervised method."""
    lines = {setting: _best_so_far(points, setting) for setting in LINES}
    for setting, (_, mark) in LOOKS.items():
        colour, best = theme.colours[setting], lines.get(setting, [])
        ends = [(point.x, point.y) for point in best] + [(axes.get_xlim()[1], point.y) for point in best[-1:]]
        axes.plot([x for x, _ in ends], [y for _, y in ends], drawstyle="steps-post", color=colour, alpha=0.6)
        for own, face in ((False, theme.paper), (True, colour)):
            mine = [p for p in points if (p.entry.shown.setting, p.entry.shown.evidence in OWN) == (setting, own)]
            axes.plot([p.x for p in mine], [p.y for p in mine], mark, color=colour, markerfacecolor=face, zorder=3)
    leading = {point.entry.shown.year: point for point in lines["unsupervised"]}
    _write_names(axes, list(leading.values()), points, [*lines.values()], theme)


def _best_so_far(points: Sequence[Point], setting: str) -> list[Point]:
    """Select the points of a setting that are higher than all earlier ones."""
    best: list[Point] = []
    for point in points:
        if point.entry.shown.setting == setting and (not best or point.y > best[-1].y):
            best.append(point)
    return best


def _write_names(
    axes: Axes, leading: Sequence[Point], points: Sequence[Point], lines: Iterable[Sequence[Point]], theme: Theme
) -> None:
    """Place names so that they do not overlap markers or other names, and if possible do not cross lines."""
    taken = [_box(axes, (p.x, p.y), (p.x, p.y), pad=4) for p in points]
    crossed = []
    for line in lines:
        corners = [(p.x, p.y) for p in line] + [(axes.get_xlim()[1], p.y) for p in line[-1:]]
        for (x, y), (right, top) in itertools.pairwise(corners):
            crossed += [_box(axes, (x, y), (right, y)), _box(axes, (right, y), (right, top))]
    offset: dict[str, Any] = {"textcoords": "offset points", "color": theme.colours["unsupervised"]}
    for x, y, entry in leading:
        name = axes.annotate(entry.shown.method.partition(" (")[0], (x, y), (0, 0), **offset)
        name.set(bbox={"facecolor": theme.paper, "linewidth": 0, "pad": 0.5}, zorder=4)
        for obstacles, place in itertools.product((taken + crossed, taken), PLACES):
            extent = _move(name, place)
            inside = axes.bbox.contains(*extent.min) and axes.bbox.contains(*extent.max)
            if inside and not extent.count_overlaps(obstacles):
                taken.append(extent)
                if abs(place[1]) >= FAR:
                    thin = {"arrowstyle": "-", "color": offset["color"], "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3}
                    axes.annotate("", (x, y), place, **offset, arrowprops=thin)
                break
        else:
            name.remove()


def _box(axes: Axes, here: tuple[float, float], there: tuple[float, float], pad: float = 1) -> Bbox:
    """Return the box around two points in data coordinates, in pixels; ``pad`` in points."""
    ends = axes.transData.transform([here, there])
    pixels = pad * axes.figure.dpi / 72
    return Bbox([ends.min(axis=0) - pixels, ends.max(axis=0) + pixels])


def _move(name: Annotation, place: tuple[float, float]) -> Bbox:
    """Move a name to an offset, aligned at its nearest edge or corner, and return its bounding box."""
    x, y = place
    name.set(position=place, ha=("right", "center", "left")[1 + _sign(x)], va=("top", "center", "bottom")[1 + _sign(y)])
    return name.get_window_extent().padded(2 * name.figure.dpi / 72)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
