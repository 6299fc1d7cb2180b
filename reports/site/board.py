"""Leaderboard in the site: a graphical column, and all scores as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.table import Table
from usvi_bench.leaderboard.board import BoardSection, lacking
from usvi_bench.leaderboard.score_rows import ScoreRow
from usvi_bench.leaderboard.score_table import ScoreTable
from usvi_bench.leaderboard.significance import leaders
from usvi_bench.reports.site.intervals import DRAWN, draw_axis, draw_rows

SITE_RULES = f"""\
* {DRAWN}: dot at the mean of mAP, line over its 95 % confidence interval (t distribution over seeds), small dots for
  single seeds, dashed line for chance. No line for a single seed.
* records: a link for each seed, to the page of the run.
* reference: chance or the starting weights; not ranked.
* Press a heading to sort by its column."""


def drawn_table(section: BoardSection) -> Table:
    """Add a column that draws mAP and its interval to the table of a section."""
    table, scores = section.table, section.scores
    at = table.columns.index(METRICS[-1]) + 1
    drawings = draw_rows([row.values["mAP"] for row in scores.rows], _chance(section))
    rows = [
        replace(row, cells=[*row.cells[:at], cell, *row.cells[at:]])
        for row, cell in zip(table.rows, drawings, strict=True)
    ]
    return replace(table, columns=[*table.columns[:at], DRAWN, *table.columns[at:]], rows=rows)


def axis_of(section: BoardSection) -> Markup:
    """Draw the scale of the graphical column of a section, for its heading."""
    return draw_axis([row.values["mAP"] for row in section.scores.rows])


def _chance(section: BoardSection) -> float | None:
    return next((float(row.values["mAP"].mean()) for row in section.scores.rows if not row.method), None)


def board_json(tables: Sequence[ScoreTable], records: Mapping[str, Record]) -> dict[str, Any]:
    """Return all tables as JSON: scores of each seed as fractions, and incomplete runs."""
    return {
        "schema": 1,
        "tables": [
            {
                **dict(zip(table.key._fields, table.key, strict=True)),
                "synthetic": bool(table.key.synthetic),
                "description": table.description,
                "significant_leads": leaders(table.rows),
                "rows": [_row_json(row) for row in table.rows],
            }
            for table in tables
        ],
        "incomplete": {name: lacking(record) for name, record in sorted(records.items()) if lacking(record)},
    }


def _row_json(row: ScoreRow) -> dict[str, Any]:
    values = {m: [None if v != v else round(v, 6) for v in row.values[m].tolist()] for m in METRICS}  # NaN: unknown
    return {
        "label": row.label,
        "method": row.method,
        "records": list(row.records),
        "seeds": list(map(int, row.values.index)) if row.records else [],
        "values": values,
        "competes": row.competes,
        "dirty": row.dirty,
    }
