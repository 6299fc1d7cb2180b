"""Scores of one run, for its report and its page on the site."""

from __future__ import annotations

from collections.abc import Mapping

from usvi_bench.core.formatting import counted
from usvi_bench.core.metrics import METRICS, RERANKED
from usvi_bench.core.record import Record
from usvi_bench.core.table import Cell, Table, TableRow, value_cell
from usvi_bench.leaderboard.board import RERANKED_COLUMNS, RERANKED_METRICS, RERANKED_NOTE, lacking

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
        cells = [Cell(record.name_of(model), tag=tag), *_percents(means), *_reranked(record, model, selection)]
        rows.append(TableRow(cells, quiet=(model, selection) != headline))
    blanks = [value_cell(None)] * len(_reranked(record, *headline))
    rows.append(TableRow([Cell("chance"), *_percents(result.chance), *blanks], quiet=True))
    done = record.scores()
    folds = len({score.fold for score in done})
    note = f"Percent. Mean over {counted(len(done), 'trial')} in {counted(folds, 'fold')}; a single seed."
    notes = [note, *(f"Incomplete: {text}." for text in lacking(record))]
    notes += [RERANKED_NOTE] if blanks else []
    columns = ["model", *METRICS, *(RERANKED_COLUMNS if blanks else ())]
    return Table("Scores", columns, rows, notes=notes, name="scores")


def _reranked(record: Record, model: str, selection: str) -> list[Cell]:
    """Return the re-ranked scores of a row; no cells if the record has no re-ranked score."""
    feature = f"{record.result.headline['feature']}{RERANKED}"
    if all(score.feature != feature for score in record.result.scores):
        return []
    means = record.means(model=model, selection=selection, feature=feature)
    return [value_cell(100 * means[metric] if means else None) for metric in RERANKED_METRICS]


def _percents(means: Mapping[str, float]) -> list[Cell]:
    return [value_cell(100 * means[metric] if metric in means else None) for metric in METRICS]
