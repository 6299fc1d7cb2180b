"""Leaderboard in the site: addresses, a graphical column, and all scores as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from usvi_bench.core.formatting import over_seeds
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.table import Cell, Table
from usvi_bench.leaderboard.board import BoardSection, lacking
from usvi_bench.leaderboard.score_table import ScoreRow, ScoreTable
from usvi_bench.leaderboard.significance import leaders

DRAWN = "mAP ± sd"
"""Heading of the graphical column, which follows the metrics."""
SITE_RULES = f"""\
* {DRAWN}: mAP and its standard deviation, on a scale from 0 to slightly above the highest value of the table.
* records: a link for each seed, to the page of the run.
* reference: chance or the starting weights; not ranked.
* Press a heading to sort by its column."""


def drawn_table(section: BoardSection) -> Table:
    """Add a column that draws mAP and its standard deviation to the table of a section."""
    scores, table = section.scores, section.table
    at = table.columns.index(METRICS[-1]) + 1
    top = 1.05 * max(row.values["mAP"].max() for row in scores.rows)
    rows = []
    for row, scored in zip(table.rows, scores.rows, strict=True):
        mean, sd = over_seeds(scored.values["mAP"])
        drawing = "" if mean is None else interval(mean, sd, top)
        rows.append(replace(row, cells=[*row.cells[:at], Cell(value=mean or 0.0, drawing=drawing), *row.cells[at:]]))
    return replace(table, columns=[*table.columns[:at], DRAWN, *table.columns[at:]], rows=rows)


def interval(mean: float, sd: float | None, top: float) -> Markup:
    """Draw a dot at the mean and a bar of ± one standard deviation, on a scale from 0 to ``top``."""
    width = 100
    at, reach = 4 + (width - 8) * mean / top, (width - 8) * (sd or 0.0) / top
    bar = f'<path d="M{max(at - reach, 0):.1f} 8H{min(at + reach, width):.1f}"/>' if sd else ""
    return Markup(
        f'<svg class="interval" viewBox="0 0 {width} 16" width="{width}" height="16" aria-hidden="true">'
        f'<path class="scale" d="M4 8H{width - 4}"/>{bar}<circle cx="{at:.1f}" cy="8" r="3.5"/></svg>'
    )


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
        "minutes": None if row.minutes is None else round(row.minutes, 4),
        "memory_mib": row.memory,
        "competes": row.competes,
        "dirty": row.dirty,
    }
