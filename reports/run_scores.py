"""Scores of one run, for its report and its page on the site."""

from __future__ import annotations

from collections.abc import Mapping

from usvi_bench.core.formatting import counted
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.table import Cell, Table, TableRow, value_cell
from usvi_bench.leaderboard.board import lacking

ORACLE = "best epoch by test score, not a result"


def run_scores(record: Record) -> Table:
    """Build a table with one row per model and selection of weights, mean over folds and trials; chance is last."""
    result = record.result
    headline = (result.headline["model"], result.headline["selection"])
    rows = []
    for model, selection in dict.fromkeys((score.model, score.selection) for score in result.scores):
        marks = ["headline"] if (model, selection) == headline else []
        marks += [ORACLE] if selection == "oracle" else []
        tag = f"({', '.join(marks)})" if marks else ""
        means = record.means(model=model, selection=selection)
        rows.append(TableRow([Cell(model, tag=tag), *_percents(means)], quiet=(model, selection) != headline))
    rows.append(TableRow([Cell("chance"), *_percents(result.chance)], quiet=True))
    done = record.scores()
    folds = len({score.fold for score in done})
    note = f"Percent. Mean over {counted(len(done), 'trial')} in {counted(folds, 'fold')}; a single seed."
    notes = [note, *(f"Incomplete: {text}." for text in lacking(record))]
    return Table("Scores", ["model", *METRICS], rows, notes=notes, name="scores")


def _percents(means: Mapping[str, float]) -> list[Cell]:
    return [value_cell(100 * means[metric] if metric in means else None) for metric in METRICS]
