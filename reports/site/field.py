"""The published state of the field as the site shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from usvi_bench.leaderboard.field_plot import LOOKS
from usvi_bench.leaderboard.markdown import MISSING
from usvi_bench.leaderboard.published import METRIC_COLUMNS, SETTINGS, Figure, Published, footnote, ordered
from usvi_bench.leaderboard.table import PROTOCOLS
from usvi_bench.reports.site.grid import Cell, Grid, Line

COLUMNS = ("Method", "Venue", "Year", "Labels", "Cameras", "Evidence", *METRIC_COLUMNS)


def describe_field(published: Sequence[Published]) -> str:
    """Describe the figure over the years in words: the highest mAP under each protocol, with and without labels."""
    sentences = []
    for protocol, name in PROTOCOLS.items():
        best: dict[str, Figure] = {}
        for shown in (entry.shown for entry in ordered(published, protocol)):  # by mAP within a setting
            if shown.year is not None and "mAP" in shown.metrics:
                best.setdefault(shown.setting, shown)
        found = [
            f"{LOOKS[setting][0]} up to {best[setting].metrics['mAP']} ({best[setting].method}, {best[setting].year})"
            for setting in SETTINGS
            if setting in best
        ]
        sentences += [f"{name}: {', '.join(found)}."] if found else []
    return " ".join(["Published mAP in percent over the years.", *sentences])


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
