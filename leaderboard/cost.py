"""What the runs behind the leaderboard cost: seconds by phase and peak memory of every method, and all together."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from usvi_bench.core.record import Record
from usvi_bench.core.table import Cell, Table, TableRow, value_cell

NOTE = (
    "Seconds are means over runs, of all folds and stages; a training that several runs share counts in each of them, "
    "as though each had been made alone. Memory: highest peak of any run, of the GPU where one was used, else of the "
    "process. Rows include runs of a method with other settings and runs on people with a varied knob."
)


def cost_table(records: Mapping[str, Record]) -> Table:
    """Make the table, a row for each data set, setting, method and machine; the first note has the sum of all hours."""
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    for name in sorted(records):
        groups.setdefault(_group(records[name]), []).append(records[name])
    phases = sorted({phase for record in records.values() for phase in record.provenance["seconds"]})
    rows = [
        TableRow([*map(Cell, group), value_cell(len(runs)), *(_mean(runs, phase) for phase in phases), *_sums(runs)])
        for group, runs in sorted(groups.items())
    ]
    hours = sum(_seconds(record) for record in records.values()) / 3600
    columns = ["Data", "Method", "made on", "threads", "runs", *(f"{phase} s" for phase in phases)]
    columns += ["seconds a run", "hours together", "peak MiB"]
    total = f"All {len(records)} runs: {hours:.1f} hours."
    return Table("Time and memory", columns, rows, words=3, notes=[total, NOTE])


def _group(record: Record) -> tuple[str, str, str, str]:
    made, data = record.provenance, record.result.dataset
    size = "real" if data["synthetic"] is None else f"synthetic {data['synthetic'].get('spec', {}).get('size', '')}"
    return (
        f"{data['name']}, {size.strip()}, {record.result.setting}",
        record.result.method,
        made["gpu"] or made["cpu"],
        str(made["threads"]),
    )


def _seconds(record: Record) -> float:
    return float(sum(record.provenance["seconds"].values()))


def _mean(runs: list[Record], phase: str) -> Cell:
    found = [run.provenance["seconds"][phase] for run in runs if phase in run.provenance["seconds"]]
    return value_cell(fmean(found) if found else None, digits=0)


def _sums(runs: list[Record]) -> list[Cell]:
    seconds = [_seconds(run) for run in runs]
    memory = [float(peak) for run in runs if (peak := run.provenance["peak_memory_mib"]) is not None]
    hours = value_cell(sum(seconds) / 3600, digits=2)
    return [value_cell(fmean(seconds), digits=0), hours, value_cell(max(memory, default=None), digits=0)]
