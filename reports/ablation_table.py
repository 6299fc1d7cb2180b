"""The numbers of an ablation: rows against seeds, their means, spreads and gains, for people, LaTeX and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from usvi_bench.core.formatting import over_seeds
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record, read_record
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

GRID = "grid.json"
"""What names the rows of an ablation and their runs, in its folder."""
SHOWN = ("R1", "R10", "mAP", "mINP")
"""Metrics of the tables; the CSV has all."""
GAINS = ("R1", "mAP")


@dataclass(frozen=True)
class AblationRow:
    """A row of an ablation over its seeds.

    Attributes:
        settings: what it changes, by full name.
        values: what the settings that any row changes are in this one.
        scores: a row a seed, a column a metric: fractions, mean over folds and trials; empty where no seed is done.
        missing: why a seed is not there, by seed.
        models: whose scores these are: ``student``, ``teacher``.
        threads: CPU threads of its runs.
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
        """Over seeds."""
        return float(self.scores[metric].mean())

    def sd(self, metric: str) -> float | None:
        """Sample standard deviation over seeds; None for one seed."""
        return float(self.scores[metric].std(ddof=1)) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class Ablation:
    """The rows of one method under one protocol; ``about`` is what ``grid.json`` says."""

    about: Mapping[str, Any]
    rows: list[AblationRow]

    @property
    def title(self) -> str:
        """Method and protocol."""
        return f"{self.about['method']} on {self.about['protocol']}"

    @property
    def made_from(self) -> str:
        """What every figure states: seeds and data."""
        counts = sorted({len(row.scores) for row in self.rows if len(row.scores)})
        n = "-".join(map(str, sorted({counts[0], counts[-1]}))) if counts else "0"
        seeds = "n = 1 seed" if n == "1" else f"n = {n} seeds, mean ± sd"
        return f"{seeds}; {self.about['data'].partition(' (')[0]}"


@dataclass(frozen=True)
class Gain:
    """Difference of two rows over the seeds that both have; ``sd`` is that of the differences."""

    mean: float
    sd: float | None
    seeds: int


def read_ablation(folder: Path) -> Ablation:
    """Read ``grid.json`` and the records it names; runs that are not there are missing, not an error."""
    about = json.loads((folder / GRID).read_text(encoding="utf-8"))
    return Ablation(about, [_row(folder, row) for row in about["rows"]])


def gain(row: AblationRow, other: AblationRow, metric: str) -> Gain | None:
    """How much better a row is than another; None where they have no seed in common."""
    pairs = (row.scores[metric] - other.scores[metric]).dropna()
    if pairs.empty:
        return None
    return Gain(float(pairs.mean()), float(pairs.std(ddof=1)) if len(pairs) > 1 else None, len(pairs))


def rows_table(ablation: Ablation) -> Table:
    """Make the table in percent: means with their spread, gains (Δ) over the row above and over the first row."""
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
    """Render the same without the number of seeds, with booktabs."""
    full = rows_table(ablation)
    columns = ["Row", *SHOWN, *(f"Δ {metric}" for _ in range(2) for metric in GAINS)]
    rows = [TableRow([row.cells[0], *row.cells[2:]]) for row in full.rows]
    comment = f"{ablation.title}; percent; {ablation.made_from}; sample sd; gains paired by seed"
    groups = [("over row above", len(GAINS)), ("over first row", len(GAINS))]
    return to_latex(Table(full.title, columns, rows), comment, groups)


def csv_table(ablation: Ablation) -> str:
    """Render all figures in full precision, as fractions; an empty field where there is nothing."""
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
        "Percent, mean ± sample standard deviation over n seeds; a run's figure is the mean over its folds and trials, "
        "weights of the last epoch. Δ: gain over the row above and over the first row, as the mean difference of runs "
        "with the same seed, ± the standard deviation of these differences.",
    ]
    if threads:
        notes.append(f"CPU threads a run: {', '.join(map(str, threads))} (the last bits depend on them).")
    if len(models) > 1:
        shown = "; ".join(f"{row.name}: {', '.join(sorted(row.models))}" for row in ablation.rows if row.models)
        notes.append(f"Whose scores: {shown}.")
    if any(row.dirty for row in ablation.rows):
        notes.append("†: at least one run was made from a tree with uncommitted changes.")
    return notes


def _row(folder: Path, row: Mapping[str, Any]) -> AblationRow:
    records: dict[int, Record] = {}
    missing: dict[int, str] = {}
    for seed, place in row["runs"].items():
        run = folder / place
        if (run / "record.json").exists():
            records[int(seed)] = read_record(run / "record.json")
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
    if not (run / "error.json").exists():
        return "not run yet"
    error = json.loads((run / "error.json").read_text(encoding="utf-8"))["message"]
    return f"failed: {' '.join(error.split())}"


def _gain_cell(row: AblationRow, other: AblationRow | None, metric: str) -> Cell:
    found = gain(row, other, metric) if other else None
    return gain_cell(found.mean, found.sd) if found else gain_cell(None)


def _count(row: AblationRow, ablation: Ablation) -> Cell:
    done, asked = len(row.scores), int(ablation.about["seeds"])
    return Cell(str(done) if done == asked else f"{done} of {asked}", done)
