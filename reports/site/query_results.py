"""Results of each query in the page of a run: CMC, distribution, differences to the start and to the baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.table import Table, value_rows
from usvi_bench.leaderboard.score_rows import ScoreRow
from usvi_bench.leaderboard.score_table import ScoreTable
from usvi_bench.protocols.base import QueryScores
from usvi_bench.reports.cmc import SHOWN, cmc
from usvi_bench.reports.groups import Found, Group, difference_of
from usvi_bench.reports.paired_table import paired_table
from usvi_bench.reports.runs import RecordedRun
from usvi_bench.reports.site.charts import curve, histogram
from usvi_bench.reports.site.find_runs import RunPage

BASELINES = {"untrained": "the starting weights", "cluster_contrast": "the baseline"}
"""Methods that every row of their table is compared with, and what they are."""
RANKS = (1, 2, 3, 5, 10, 20)
QUANTILES = {"lowest": 0.0, "10 %": 0.1, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "90 %": 0.9, "highest": 1.0}
ABSENT = (
    "This record was made before the results of each query were kept beside it. There is no CMC, no distribution and "
    "no comparison query by query. Scoring the run again (its command is below) makes a record with them."
)
DAMAGED = "The file with the results of each query is missing or damaged."
UNCOMPARED = "No comparison query by query: {}."


class QueryPages:
    """Query pages: the part of each run's page that is made from the results of its queries."""

    def __init__(self, runs: Sequence[RunPage], tables: Sequence[ScoreTable], say: Callable[[str], None]) -> None:
        self._runs = {run.name: RecordedRun(run.name, run.record, None, run.file) for run in runs}
        self._files = {run.committed: self._runs[run.name] for run in runs if run.committed}
        self._places = {file: (table, row) for table in tables for row in table.rows for file in row.records}
        self._known: dict[tuple[str, ...], tuple[Table | None, str]] = {}
        self._having = {name for name, run in self._runs.items() if _readable(run, say)}

    def context(self, run: RunPage) -> dict[str, Any]:
        """Return the variables of the template; ``absent`` is the reason if there are no results of each query."""
        if not self.has(run):
            return {"absent": ABSENT if run.record.result.queries is None else DAMAGED}
        return {"absent": "", **_described(self._runs[run.name].queries or {}), **self._compared(run)}

    def has(self, run: RunPage) -> bool:
        """Return whether a run has results of each query."""
        return run.name in self._having

    def _compared(self, run: RunPage) -> dict[str, Any]:
        """Compare the row of a run, averaged over its seeds, with the references of its table."""
        if run.committed not in self._places:
            return {"differences": None, "uncompared": UNCOMPARED.format("this run is in no table of the leaderboard")}
        table, row = self._places[run.committed]
        if row.records not in self._known:
            self._known[row.records] = self._differences(table, row)
        differences, why = self._known[row.records]
        return {"differences": differences, "uncompared": why}

    def _differences(self, table: ScoreTable, row: ScoreRow) -> tuple[Table | None, str]:
        own, found = self._group(row), list[Found]()
        lacking = []
        for method, words in BASELINES.items():
            others = [other for other in table.rows if other.method == method and other is not row]
            if row.method == method or not others:
                continue
            other = self._group(min(others, key=lambda each: len(each.label)))
            if any(run.name not in self._having for run in (*own.runs, *other.runs)):
                lacking.append(f"{words} ({method})")
                continue
            found += [(other, own, name, "person", difference_of(other, own, name, "person")) for name in ("mAP", "R1")]
        why = UNCOMPARED.format(f"records of this row, or of {' and '.join(lacking)}, have no results of each query")
        if found:
            return paired_table(found, "queries"), why if lacking else ""
        return None, why if lacking else UNCOMPARED.format("its table has no other row that is a reference")

    def _group(self, row: ScoreRow) -> Group:
        return Group(row.label, [self._files[file] for file in row.records])


def _readable(run: RecordedRun, say: Callable[[str], None]) -> bool:
    try:
        return bool(run.queries)
    except UsageError as error:
        say(f"{run.name}: no results of each query: {error}")
        return False


def precisions(folds: Mapping[int, QueryScores]) -> NDArray[np.float64]:
    """Return the average precision of each query that is valid in any trial, mean over its valid trials."""
    parts = []
    for scores in folds.values():
        values = scores.average_precision[:, ~np.isnan(scores.average_precision).all(axis=0)]
        parts.append(np.nanmean(values, axis=0))
    return np.concatenate(parts)


def _described(folds: Mapping[int, QueryScores]) -> dict[str, Any]:
    shares, values = cmc(folds), precisions(folds)
    counts = np.histogram(values, bins=SHOWN, range=(0, 1))[0] / len(values)
    ranks = [100 * float(shares[rank - 1]) for rank in RANKS]
    quantiles = np.quantile(values, [*QUANTILES.values()])
    note = (
        f"Percent; mean over trials and folds of this run. Average precision: {len(values)} queries, mean over trials."
    )
    columns = ["queries", *(f"R{rank}" for rank in RANKS)]
    spread = ["quantile", *QUANTILES]
    words = ", ".join(f"R{rank} {value:.1f} %" for rank, value in zip(RANKS, ranks, strict=True))
    return {
        "cmc": curve(shares.tolist(), "rank", f"CMC: {words}"),
        "histogram": histogram(
            counts.tolist(),
            "average precision (%)",
            f"Share of the queries by average precision; median {100 * float(np.median(values)):.1f} %",
        ),
        "tables": [
            Table("CMC", columns, value_rows([["with a right image", *ranks]]), name="cmc"),
            Table(
                "Average precision of the queries",
                spread,
                value_rows([["average precision", *(100 * quantiles).tolist()]]),
                notes=[note],
                name="precisions",
            ),
        ],
    }
