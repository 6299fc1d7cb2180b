"""Short tables of the main results: for the first page, and for the page of a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from usvi_bench.core.result import REPAIRED
from usvi_bench.core.table import Cell, Table, TableRow
from usvi_bench.leaderboard.board import BoardSection
from usvi_bench.reports.site.board import axis_of
from usvi_bench.reports.site.intervals import DRAWN

FIRST = ("Method", DRAWN, "mAP", "R1", "mINP", "seeds")
"""Columns of the first table of the first page, if the board has them."""
FURTHER = ("Method", DRAWN, "mAP")
"""Columns of its other tables."""
SCORES = ("R1", "mAP", "seeds")
"""Columns of the short table of a method."""
TASKS = {
    "sysu_all": "Find the person of an infrared image among visible images of all cameras",
    "sysu_indoor": "Find the person of an infrared image among visible images of indoor cameras",
    **{f"{data}_v2i": "Find the person of a visible image among infrared images" for data in ("regdb", "llcm")},
    **{f"{data}_i2v": "Find the person of an infrared image among visible images" for data in ("regdb", "llcm")},
}
"""What the queries of a protocol ask for."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Panel of the first page: a short table with dots and intervals.

    Attributes:
        title: name of the protocol.
        name: identifier of the whole table in the leaderboard.
        task: what a query asks for; empty for unknown protocols.
        axis: scale of the graphical column.
        seeds: highest number of seeds of a row.
    """

    title: str
    name: str
    task: str
    table: Table
    axis: Markup
    seeds: int


def panels(sections: Sequence[BoardSection]) -> list[Panel]:
    """Make the panels of sections whose people are all real, or all synthetic; the first one has more columns."""
    return [
        Panel(
            title=_protocol(section),
            name=section.table.name,
            task=TASKS.get(section.scores.key.protocol, ""),
            table=_columns(section.table, FURTHER if number else FIRST),
            axis=axis_of(section),
            seeds=max((row.seeds for row in section.scores.rows), default=0),
        )
        for number, section in enumerate(main_sections(sections))
    ]


def main_sections(sections: Sequence[BoardSection]) -> list[BoardSection]:
    """Select the sections that are trained as usual, in the repaired form and in the shared setting.

    Without any, these are all sections.
    """
    usual = [s for s in sections if s.scores.key.usual_training and s.scores.key.form == REPAIRED]
    return [s for s in usual if s.scores.key.setting == "shared"] or list(sections)


def method_table(method: str, sections: Sequence[BoardSection], people: str) -> Table | None:
    """Make the short table of a method, with a row for each of its rows in the main sections; None without rows.

    Args:
        method: name of the method.
        sections: sections whose people are all real, or all synthetic.
        people: words for the title.
    """
    rows = []
    for section in main_sections(sections):
        for row, scores in zip(_columns(section.table, SCORES).rows, section.scores.rows, strict=True):
            if scores.method == method:
                variant = scores.label.removeprefix(method).strip() if scores.plugins or scores.competes else ""
                rows.append(TableRow([Cell(_protocol(section), tag=variant), *row.cells], row.quiet))
    return Table(f"Results on {people}", ["protocol", *SCORES], rows) if rows else None


def _protocol(section: BoardSection) -> str:
    return section.table.title.partition(": ")[0]


def _columns(table: Table, columns: Sequence[str]) -> Table:
    """Select columns of a table by their headings, in this order, without the notes of the table."""
    shown = [table.columns.index(column) for column in columns if column in table.columns]
    rows = [replace(row, cells=[row.cells[i] for i in shown]) for row in table.rows]
    return replace(table, columns=[table.columns[i] for i in shown], rows=rows, notes=(), footnotes=())
