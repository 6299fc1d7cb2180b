"""The numbers of an ablation: rows against seeds, their means, spreads and gains, as markdown, LaTeX and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record, read_record
from usvi_bench.leaderboard.markdown import MISSING, percent, signed, table

GRID = "grid.json"
"""What names the rows of an ablation and their runs, in its folder."""
SHOWN = ("R1", "R10", "mAP", "mINP")
"""Metrics of the tables; the CSV has all."""
GAINS = ("R1", "mAP")


@dataclass(frozen=True)
class Line:
    """One row of an ablation.

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
    lines: list[Line]

    @property
    def title(self) -> str:
        """Method and protocol."""
        return f"{self.about['method']} on {self.about['protocol']}"

    @property
    def made_from(self) -> str:
        """What every figure states: seeds and data."""
        counts = sorted({len(line.scores) for line in self.lines if len(line.scores)})
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
    return Ablation(about, [_line(folder, row) for row in about["rows"]])


def gain(line: Line, other: Line, metric: str) -> Gain | None:
    """How much better a row is than another; None where they have no seed in common."""
    pairs = (line.scores[metric] - other.scores[metric]).dropna()
    if pairs.empty:
        return None
    return Gain(float(pairs.mean()), float(pairs.std(ddof=1)) if len(pairs) > 1 else None, len(pairs))


def markdown_table(ablation: Ablation) -> str:
    """Percent: means with their spread, gains (Δ) over the row above and over the first row."""
    header = ["Row", "n", *SHOWN, *(f"Δ{m} {what}" for what in ("above", "first") for m in GAINS)]
    lines = [
        [line.name + (" †" if line.dirty else ""), _count(line, ablation), *(_cell(line, m) for m in SHOWN), *gains]
        for line, gains in zip(ablation.lines, _gain_cells(ablation.lines), strict=True)
    ]
    return table(header, lines)


def latex_table(ablation: Ablation) -> str:
    """The same, with booktabs."""
    header = ["Row", *SHOWN, *(rf"$\Delta$ {m}" for _ in range(2) for m in GAINS)]
    first = 2 + len(SHOWN)
    spans = [(first, "over row above"), (first + len(GAINS), "over first row")]
    groups = " & ".join(rf"\multicolumn{{{len(GAINS)}}}{{c}}{{{text}}}" for _, text in spans)
    rules = " ".join(rf"\cmidrule(lr){{{start}-{start + len(GAINS) - 1}}}" for start, _ in spans)
    lines = [r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}", r"\toprule"]
    lines += [" & " * (first - 1) + groups + r" \\", rules, " & ".join(header) + r" \\", r"\midrule"]
    for line, gains in zip(ablation.lines, _gain_cells(ablation.lines), strict=True):
        figures = [*(_cell(line, metric) for metric in SHOWN), *gains]
        lines.append(" & ".join([_escaped(line.name), *map(_typeset, figures)]) + r" \\")
    about = f"% {ablation.title}; percent; {ablation.made_from}; sample sd; gains paired by seed"
    return "\n".join([about, *lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_table(ablation: Ablation) -> str:
    """Everything in full precision, as fractions; an empty field where there is nothing."""
    first, above = ablation.lines[0], None
    rows = []
    for line in ablation.lines:
        row: dict[str, Any] = {"row": line.name, "settings": json.dumps(dict(line.settings)), "n": len(line.scores)}
        for metric in METRICS:
            row |= {metric: line.mean(metric), f"{metric}_sd": line.sd(metric)}
            for what, other in (("above", above), ("first", first if above else None)):
                found = gain(line, other, metric) if other else None
                row[f"{metric}_over_{what}"] = found.mean if found else None
                row[f"{metric}_over_{what}_sd"] = found.sd if found else None
        row |= {"model": "+".join(sorted(line.models)), "threads": "+".join(map(str, sorted(line.threads)))}
        rows.append(row)
        above = line
    return str(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def _line(folder: Path, row: Mapping[str, Any]) -> Line:
    records: dict[int, Record] = {}
    missing: dict[int, str] = {}
    for seed, place in row["runs"].items():
        run = folder / place
        if (run / "record.json").exists():
            records[int(seed)] = read_record(run / "record.json")
        else:
            missing[int(seed)] = _why(run)
    scores = {seed: means for seed, record in records.items() if (means := record.means())}
    return Line(
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


def _count(line: Line, ablation: Ablation) -> str:
    asked = int(ablation.about["seeds"])
    return str(len(line.scores)) if len(line.scores) == asked else f"{len(line.scores)} of {asked}"


def _cell(line: Line, metric: str) -> str:
    return percent(line.mean(metric), line.sd(metric)) if len(line.scores) else MISSING


def _gain_cells(lines: Sequence[Line]) -> list[list[str]]:
    found = []
    for i, line in enumerate(lines):
        others = [lines[i - 1], lines[0]] if i else [None, None]
        found.append([_gain_cell(gain(line, other, m) if other else None) for other in others for m in GAINS])
    return found


def _gain_cell(found: Gain | None) -> str:
    return signed(found.mean, found.sd) if found else MISSING


def _typeset(text: str) -> str:
    negative = text != MISSING and text.startswith("-")
    return ("$-$" + text[1:] if negative else text).replace("±", r"$\pm$")


def _escaped(text: str) -> str:
    for character in "&%$#_{}":
        text = text.replace(character, "\\" + character)
    return text
