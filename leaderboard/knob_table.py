"""Table of one knob of the synthetic people: mean mAP of each method at each level."""

from __future__ import annotations

from usvi_bench.core.formatting import MISSING, file_name, over_seeds
from usvi_bench.core.markdown import code
from usvi_bench.core.table import Cell, Link, Table, TableRow, percent_cell, value_cell
from usvi_bench.leaderboard.knobs import Sweep, SweepRow, sweep_rows


def knob_table(sweep: Sweep) -> Table:
    """Build a table with one row per method and one column per level, with links to the records of varied levels."""
    columns = ["Method", "seeds", *(f"{sweep.knob}={level:g}" for level in sweep.levels), "records"]
    rows = []
    for row in sweep_rows(sweep):
        of_levels = row.rows.values()
        dirty = any(each.dirty for each in of_levels)
        means = [percent_cell(*over_seeds(row.at(level))) for level in sweep.levels]
        cells = [Cell(row.label, tag="†" if dirty else ""), value_cell(row.seeds or None), *means]
        rows.append(TableRow([*cells, _records_cell(sweep, row)], quiet=not next(iter(of_levels)).competes))
    default = code(f"{sweep.knob}={sweep.base_level:g}")
    note = f"Default: {default}. The means of a row are over the seeds that all its levels have."
    key = sweep.base.key
    return Table(
        title=f"mAP on {code(key.protocol)} when {code(sweep.knob)} varies, people {key.people}",
        columns=columns,
        rows=rows,
        notes=[note],
        name=file_name("-".join([key.protocol, key.setting, sweep.knob, key.fingerprint[-6:]])),
    )


def _records_cell(sweep: Sweep, row: SweepRow) -> Cell:
    parts: list[str | Link] = []
    for level, found in row.rows.items():
        if level != sweep.base_level and found.seeds:
            parts.append(f"{'; ' if parts else ''}{level:g}:")
            for seed, record in zip(found.values.index, found.records, strict=False):
                parts += [" ", Link(str(seed), "run", record, f"{row.label}, {sweep.knob}={level:g}, seed {seed}")]
    return Cell(parts or MISSING)
