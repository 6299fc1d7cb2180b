"""Scores of an ablation by row and seed, and their table as Markdown, LaTeX and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json
from usvi_bench.core.formatting import over_seeds
from usvi_bench.core.markdown import plain
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.sealed import read_sealed_json
from usvi_bench.core.table import (
    Cell,
    Table,
    TableRow,
    Value,
    gain_cell,
    percent_cell,
    to_csv,
    to_latex,
    value_rows,
)
from usvi_bench.core.typed import convert
from usvi_bench.reports.run_files import read_regular_record, require_regular

GRID = "grid.json"
"""File in the folder of an ablation that lists its rows and their runs."""
SHOWN = ("R1", "R10", "mAP", "mINP")
"""Metrics in the tables; the CSV file has all metrics."""
GAINS = ("R1", "mAP")
AGAIN = "make it again with run.py ablation"


class _Row(TypedDict):
    name: str
    settings: dict[str, Any]
    values: dict[str, Any]
    runs: dict[str, str]


class _Plan(TypedDict, total=False):
    schedule: str


class _Grid(_Plan):
    method: str
    protocol: str
    setting: str
    settings: dict[str, Any]
    data: str
    seeds: int
    rows: list[_Row]


@dataclass(frozen=True)
class AblationRow:
    """Row of an ablation over its seeds.

    Attributes:
        settings: settings that the row changes, by full name.
        values: values in this row of all settings that any row changes.
        scores: one row per seed, one column per metric: fractions, mean over folds and trials; empty if no seed has
            finished.
        missing: reason why a seed is missing, by seed.
        models: scored models: ``student``, ``teacher``.
        threads: numbers of CPU threads of the runs.
        dirty: whether a run was made from a tree with uncommitted changes.
    """

    name: str
    settings: Mapping[str, Any]
    values: Mapping[str, Any]
    scores: pd.DataFrame
    missing: Mapping[int, str]
    models: frozenset[str]
    threads: frozenset[int]
    dirty: bool

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over seeds."""
        return float(self.scores[metric].mean())

    def sd(self, metric: str) -> float | None:
        """Return the sample standard deviation of a metric over seeds; None for one seed."""
        return float(self.scores[metric].std(ddof=1)) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class Ablation:
    """Ablation of one method under one protocol; ``about`` is the content of ``grid.json``."""

    about: Mapping[str, Any]
    rows: list[AblationRow]

    @property
    def title(self) -> str:
        """Method and protocol."""
        return f"{self.about['method']} on {self.about['protocol']}"

    @property
    def made_from(self) -> str:
        """Number of seeds and data set, stated in each figure."""
        counts = sorted({len(row.scores) for row in self.rows if len(row.scores)})
        n = "-".join(map(str, sorted({counts[0], counts[-1]}))) if counts else "0"
        seeds = "n = 1 seed" if n == "1" else f"n = {n} seeds, mean ± sd"
        return f"{seeds}; {self.about['data'].partition(' (')[0]}"


@dataclass(frozen=True)
class Gain:
    """Gain of a row over another one on shared seeds; ``sd`` is the standard deviation of the differences."""

    mean: float
    sd: float | None
    seeds: int


def read_ablation(folder: Path) -> Ablation:
    """Read ``grid.json`` and the records of its runs. A missing run is not an error.

    Raises:
        UsageError: a file is damaged, or a record belongs to another method, protocol or seed than its cell.
    """
    about = read_grid(folder)
    return Ablation(about, [_row(folder, row, about) for row in about["rows"]])


def read_grid(folder: Path) -> dict[str, Any]:
    """Read ``grid.json``.

    Raises:
        UsageError: the file is damaged.
    """
    path = folder / GRID
    require_regular(path)
    try:
        grid: dict[str, Any] = convert(_Grid, read_sealed_json(path, AGAIN), "")
        for row in grid["rows"]:
            for seed, place in row["runs"].items():
                if not seed.isdecimal() or Path(place).name in ("", ".."):
                    raise ValueError(f"rows.{row['name']:.40}: no run {place!r:.60} of seed {seed!r:.20}")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a grid ({error}); {AGAIN}") from error
    if not grid["rows"]:
        raise UsageError(f"{path}: no rows; {AGAIN}")
    return grid


def gain(row: AblationRow, other: AblationRow, metric: str) -> Gain | None:
    """Compute the gain of a row over another one; None if they share no seed."""
    pairs = (row.scores[metric] - other.scores[metric]).dropna()
    if pairs.empty:
        return None
    return Gain(float(pairs.mean()), float(pairs.std(ddof=1)) if len(pairs) > 1 else None, len(pairs))


def rows_table(ablation: Ablation) -> Table:
    """Build the table in percent: means with standard deviations, gains (Δ) over the row above and the first row."""
    columns = ["Row", "n", *SHOWN, *(f"Δ{m} {what}" for what in ("above", "first") for m in GAINS)]
    rows = []
    for i, row in enumerate(ablation.rows):
        others = [ablation.rows[i - 1], ablation.rows[0]] if i else [None, None]
        gains = [_gain_cell(row, other, metric) for other in others for metric in GAINS]
        cells = [Cell(row.name, tag="†" if row.dirty else ""), _count(row, ablation)]
        cells += [percent_cell(*over_seeds(row.scores[metric])) for metric in SHOWN]
        rows.append(TableRow([*cells, *gains]))
    return Table(f"Ablation: {ablation.title}", columns, rows, notes=_notes(ablation))


def latex_table(ablation: Ablation) -> str:
    """Render the table of rows as LaTeX (booktabs), without the number of seeds."""
    full = rows_table(ablation)
    columns = ["Row", *SHOWN, *(f"Δ {metric}" for _ in range(2) for metric in GAINS)]
    rows = [TableRow([row.cells[0], *row.cells[2:]]) for row in full.rows]
    comment = f"{ablation.title}; percent; {ablation.made_from}; sample sd; gains paired by seed"
    groups = [("over row above", len(GAINS)), ("over first row", len(GAINS))]
    return to_latex(Table(full.title, columns, rows), comment, groups)


def csv_table(ablation: Ablation) -> str:
    """Render all metrics as CSV: fractions in full precision; missing values are empty."""
    first, above = ablation.rows[0], None
    rows = []
    for row in ablation.rows:
        found: dict[str, Value] = {"row": row.name, "settings": json.dumps(dict(row.settings)), "n": len(row.scores)}
        for metric in METRICS:
            found[metric], found[f"{metric}_sd"] = over_seeds(row.scores[metric])
            for what, other in (("above", above), ("first", first if above else None)):
                gained = gain(row, other, metric) if other else None
                found[f"{metric}_over_{what}"] = gained.mean if gained else None
                found[f"{metric}_over_{what}_sd"] = gained.sd if gained else None
        found |= {"model": "+".join(sorted(row.models)), "threads": "+".join(map(str, sorted(row.threads)))}
        rows.append(found)
        above = row
    return to_csv(Table(ablation.title, [*rows[0]], value_rows([[*found.values()] for found in rows])))


def _notes(ablation: Ablation) -> list[str]:
    threads = sorted({count for row in ablation.rows for count in row.threads})
    models = {"+".join(sorted(row.models)) for row in ablation.rows if row.models}
    notes = [
        "Percent, mean ± sample standard deviation over n seeds. The score of a run is the mean over its folds and "
        "trials, with the weights of the last epoch. Δ: gain over the row above and over the first row: the mean "
        "difference of runs with equal seeds ± the standard deviation of these differences.",
    ]
    if threads:
        notes.append(f"CPU threads per run: {', '.join(map(str, threads))} (last digits depend on it).")
    if len(models) > 1:
        shown = "; ".join(plain(f"{row.name}: {', '.join(sorted(row.models))}") for row in ablation.rows if row.models)
        notes.append(f"Scored models: {shown}.")
    if any(row.dirty for row in ablation.rows):
        notes.append("†: at least one run was made from a tree with uncommitted changes.")
    return notes


def _row(folder: Path, row: Mapping[str, Any], about: Mapping[str, Any]) -> AblationRow:
    records: dict[int, Record] = {}
    missing: dict[int, str] = {}
    for seed, place in row["runs"].items():
        run = folder / place
        if (run / "record.json").exists():
            record = records[int(seed)] = read_regular_record(run / "record.json")
            found = (record.result.method, record.result.protocol, record.result.seed)
            if found != (about["method"], about["protocol"], int(seed)):
                raise UsageError(f"{run}: a run of {found[0]}, {found[1]}, seed {found[2]}, in the cell of seed {seed}")
        else:
            missing[int(seed)] = _why(run)
    scores = {seed: means for seed, record in records.items() if (means := record.means())}
    return AblationRow(
        name=row["name"],
        settings=row["settings"],
        values=row["values"],
        scores=pd.DataFrame.from_dict(scores, orient="index", columns=list(METRICS), dtype=float),
        missing=missing,
        models=frozenset(record.result.headline["model"] for record in records.values()),
        threads=frozenset(record.provenance["threads"] for record in records.values()),
        dirty=any(record.provenance["dirty"] for record in records.values()),
    )


def _why(run: Path) -> str:
    return f"failed: {' '.join(error.split())}" if (error := read_failure(run)) is not None else "not run yet"


def read_failure(run: Path) -> str | None:
    """Return the message of a failed run; None if the run has no ``error.json``."""
    path = run / "error.json"
    if not path.is_file():
        return None
    try:
        return str(read_json(path)["message"])
    except (OSError, ValueError, LookupError, TypeError):
        return f"{path.name} is damaged"


def _gain_cell(row: AblationRow, other: AblationRow | None, metric: str) -> Cell:
    found = gain(row, other, metric) if other else None
    return gain_cell(found.mean, found.sd) if found else gain_cell(None)


def _count(row: AblationRow, ablation: Ablation) -> Cell:
    done, asked = len(row.scores), int(ablation.about["seeds"])
    return Cell(str(done) if done == asked else f"{done} of {asked}", done)
