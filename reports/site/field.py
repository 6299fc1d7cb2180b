"""The published state of the field as the site shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from usvi_bench.leaderboard.field_plot import draw_marks, draw_panel
from usvi_bench.leaderboard.markdown import MISSING
from usvi_bench.leaderboard.published import METRIC_COLUMNS, SETTINGS, Published, footnote, ordered
from usvi_bench.leaderboard.table import PROTOCOLS
from usvi_bench.reports.site.grid import Cell, Grid, Line

COLUMNS = ("Method", "Venue", "Year", "Labels", "Cameras", "Evidence", *METRIC_COLUMNS)


def field_legend() -> dict[str, Markup]:
    """The marks of the plots, by what they mean."""
    return {words: Markup(svg) for words, svg in draw_marks().items()}


def field_panels(published: Sequence[Published]) -> list[Markup]:
    """A plot over years for each protocol that has dated figures."""
    drawn = (draw_panel(published, protocol) for protocol in PROTOCOLS)
    return [Markup(svg) for svg in drawn if svg]


def field_grids(published: Sequence[Published]) -> dict[str, Grid]:
    """A table for each protocol that has figures."""
    return {
        protocol: _grid(protocol, ordered(published, protocol))
        for protocol in PROTOCOLS
        if ordered(published, protocol)
    }


def _grid(protocol: str, entries: Sequence[Published]) -> Grid:
    disputed = [e for e in entries if e.others]
    notes = [f"Note {i}. {e.shown.method}: elsewhere {footnote(e)}." for i, e in enumerate(disputed, 1)]
    numbers = {e.shown.method: i for i, e in enumerate(disputed, 1)}
    lines = [_line(entry, numbers.get(entry.shown.method)) for entry in entries]
    return Grid(PROTOCOLS[protocol], COLUMNS, lines, words=6, notes=notes)


def _line(entry: Published, note: int | None) -> Line:
    shown = entry.shown
    return Line(
        [
            Cell(shown.method),
            Cell(shown.venue or MISSING),
            Cell(str(shown.year or MISSING), shown.year),
            Cell(SETTINGS[shown.setting]),
            Cell(shown.cameras.replace("unknown", MISSING)),
            Cell(shown.evidence, tag=f"note {note}" if note else ""),
            *(Cell(shown.metrics.get(m, MISSING), shown.value(m)) for m in METRIC_COLUMNS),
        ],
        quiet=shown.setting != "unsupervised",
    )


def field_json(published: Sequence[Published]) -> dict[str, Any]:
    """All chosen figures, and those that disagree with them."""
    return {
        "schema": 1,
        "figures": [{**_plain(e.shown), "disagreeing": [_plain(o) for o in e.others]} for e in published],
    }


def _plain(figure: Any) -> dict[str, Any]:
    return {name: getattr(figure, name) for name in figure.__slots__}
