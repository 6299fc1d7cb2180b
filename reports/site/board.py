"""The leaderboard as the site shows it, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.leaderboard.build import BESIDE, lacking
from usvi_bench.leaderboard.knobs import Sweep, sweep_rows
from usvi_bench.leaderboard.markdown import MISSING
from usvi_bench.leaderboard.published import Published, find_published, footnote
from usvi_bench.leaderboard.significance import leaders
from usvi_bench.leaderboard.table import IDENTITY_MARK, PROTOCOLS, Row, Table
from usvi_bench.reports.site.grid import Cell, Grid, Line, Link, figure_cell, interval

COLUMNS = ("Method", "n", *METRICS, "mAP ± sd", "min", "MiB", "Runs")
REMARKS = {"untrained": "reference", "supervised": "upper bound", "": "reference"}


def board_grid(table: Table, published: Sequence[Published]) -> Grid:
    """One data set and protocol; on real data, with what was published beside."""
    lead, top = leaders(table.rows), max(row.values["mAP"].max() for row in table.rows) * 1.05
    key = table.key
    beside = {
        row.label: entry
        for row in table.rows
        if not key.synthetic and (entry := find_published(published, row.method, key.protocol, key.shots)) is not None
    }
    columns = list(COLUMNS)
    if beside:
        columns[-1:-1] = [f"published {metric}" for metric in BESIDE] + ["evidence"]
    lines = []
    for row in table.rows:
        cells = _cells(row, lead, top)
        if beside:
            cells[-1:-1] = _beside(beside.get(row.label))
        lines.append(Line(cells, quiet=not row.competes))
    notes = [f"{label}: elsewhere {footnote(entry)}." for label, entry in beside.items() if footnote(entry)]
    caption = f"{protocol_name(key.protocol, bool(key.synthetic))}: {table.title}"
    return Grid(caption, columns, lines, notes=notes)


def sweep_grid(sweep: Sweep) -> Grid:
    """Every method at every level of a knob of synthetic people, by its mAP."""
    lines = []
    for line in sweep_rows(sweep):
        rows = line.rows.values()
        cells = [Cell(line.label, tag="†" if any(row.dirty for row in rows) else ""), Cell(str(line.seeds or MISSING))]
        for level in sweep.levels:
            values = line.at(level)
            spread = float(values.std()) if len(values) > 1 else None
            cells.append(figure_cell(float(values.mean()) if len(values) else None, spread))
        links = [
            Link(f"{level:g}/{seed}", run_page(record), f"{line.label}, {sweep.knob}={level:g}, seed {seed}")
            for level, row in line.rows.items()
            if level != sweep.base_level
            for seed, record in zip(row.values.index, row.records, strict=False)
        ]
        lines.append(Line([*cells, Cell("" if links else MISSING, links=links)], quiet=not next(iter(rows)).competes))
    columns = ["Method", "n", *(f"{sweep.knob}={level:g}" for level in sweep.levels), "Runs (level/seed)"]
    return Grid(sweep.title.replace("`", ""), columns, lines)


def protocol_name(protocol: str, synthetic: bool) -> str:
    """In words where the protocol is one of the field's own; ``SYSU-MM01-like`` of synthetic people."""
    name = PROTOCOLS.get(protocol, protocol)
    return name.replace(",", "-like,", 1) if synthetic else name


def run_page(record: str) -> str:
    """Address of the page about a committed record."""
    return f"runs/{record.removesuffix('.json')}/index.html"


def section_id(table: Table) -> str:
    """Anchor of a table: the protocol, with what tells it from others of the same protocol."""
    key = table.key
    return "-".join([key.protocol, key.setting, key.gallery, str(key.shots), key.fingerprint[-6:]])


def _cells(row: Row, lead: Mapping[str, str], top: float) -> list[Cell]:
    several = row.seeds > 1
    means = {m: None if row.values[m].isna().all() else row.values[m].mean() for m in METRICS}
    spreads = {m: row.values[m].std() if several else None for m in METRICS}
    name = row.label.replace(IDENTITY_MARK, "").strip()
    return [
        Cell(
            "" if row.method else name,
            links=[Link(name, f"methods/{row.method}.html")] if row.method else (),
            tag=" ".join([*([REMARKS[row.method]] if row.method in REMARKS else []), *(["†"] if row.dirty else [])]),
        ),
        Cell(str(row.seeds) if row.seeds else MISSING, row.seeds),
        *(figure_cell(means[m], spreads[m], strong=lead.get(m) == row.label) for m in METRICS),
        Cell(
            value=means["mAP"] or 0.0,
            drawing=None if means["mAP"] is None else interval(means["mAP"], spreads["mAP"], top),
        ),
        Cell(MISSING) if row.minutes is None else Cell(f"{row.minutes:.1f}", round(row.minutes, 4)),
        Cell(MISSING) if row.memory is None else Cell(f"{row.memory:.0f}", round(row.memory, 2)),
        Cell(
            "" if row.records else MISSING,
            links=[
                Link(str(seed), run_page(record), f"{row.label}, seed {seed}")
                for seed, record in zip(row.values.index, row.records, strict=False)
            ],
        ),
    ]


def _beside(entry: Published | None) -> list[Cell]:
    if entry is None:
        return [Cell(MISSING)] * (len(BESIDE) + 1)
    figures = [Cell(entry.shown.metrics.get(m, MISSING), entry.shown.value(m)) for m in BESIDE]
    return [*figures, Cell(entry.shown.evidence)]


def board_json(tables: Sequence[Table], records: Mapping[str, Record]) -> dict[str, Any]:
    """All tables in full: fractions, seed by seed; and the incomplete runs."""
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


def _row_json(row: Row) -> dict[str, Any]:
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
