"""Cost of the runs in the leaderboard: seconds by phase and peak memory of each method, and the total time."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from usvi_bench.core.record import Record
from usvi_bench.core.table import Cell, Table, TableRow, value_cell
from usvi_bench.leaderboard.score_table import made_on

NOTE = (
    "Seconds are means over runs and include all folds and stages. A training that several runs share is counted in "
    "each of them. Memory: highest peak of any run, on the GPU if one was used, else of the process. Rows include runs "
    "of a method with other settings, and runs on people with a varied knob. Runs that share a machine slow each other "
    "down: [cost of a step](../docs/methods.md#cost-of-a-step) compares the methods one at a time."
)


def cost_table(records: Mapping[str, Record]) -> Table:
    """Build a table with one row per data set, setting, method and machine; its first note has the total hours."""
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
    columns += ["seconds per run", "total hours", "peak MiB"]
    total = f"All {len(records)} runs: {hours:.1f} hours."
    return Table("Time and memory", columns, rows, words=3, notes=[total, NOTE])


def _group(record: Record) -> tuple[str, str, str, str]:
    made, data = record.provenance, record.result.dataset
    size = "real" if data["synthetic"] is None else f"synthetic {data['synthetic'].get('spec', {}).get('size', '')}"
    return (
        f"{data['name']}, {size.strip()}, {record.result.setting}",
        record.result.method,
        made_on(record),
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
