"""Ranking of our methods on synthetic people, compared with the published ranking on the imitated data set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from usvi_bench.core.markdown import code
from usvi_bench.core.table import Cell, Table, TableRow, percent_cell, value_cell
from usvi_bench.leaderboard.published import Published, find_published
from usvi_bench.leaderboard.score_rows import ScoreRow
from usvi_bench.leaderboard.score_table import PROTOCOLS, ScoreTable

NOTE = (
    "People, network, schedule and code differ from those of the papers, so agreement of the rankings does not "
    "validate either of them. No method was tuned to agree. Only methods with a published figure are ranked, each "
    "once, without the defects of its released code. A pair of methods agrees if both rankings have it in "
    "the same order."
)


def order_table(scores: ScoreTable, published: Sequence[Published]) -> Table | None:
    """Compare our and published mAP and rank of each method; None with fewer than three published methods.

    Args:
        scores: scores on synthetic people.
        published: published figures.
    """
    pairs = [
        (row, float(row.values["mAP"].mean()), value)
        for row in _one_a_method(scores.rows)
        if (entry := find_published(published, row.method, scores.key.protocol, scores.key.shots)) is not None
        and (value := entry.shown.value("mAP")) is not None
    ]
    if len(pairs) < 3:
        return None
    alike = [(a[1] - b[1]) * (a[2] - b[2]) > 0 for a, b in combinations(pairs, 2)]
    name = PROTOCOLS[scores.key.protocol]
    here, elsewhere = [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    columns = ["Method", "mAP here", "rank here", f"published mAP ({name})", "published rank"]
    rows = [
        TableRow(
            [
                Cell(row.label),
                percent_cell(ours),
                value_cell(rank(ours, here)),
                value_cell(value),
                value_cell(rank(value, elsewhere)),
            ]
        )
        for row, ours, value in pairs
    ]
    where = f"{code(scores.key.protocol)}, people {scores.key.people}"
    title = f"Our and the published ranking on {where} ({sum(alike)} of {len(alike)} pairs agree)"
    return Table(title, columns, rows, notes=[NOTE])


def _one_a_method(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Choose one row per method: without plug-ins, with the most seeds.

    Ties are broken by label. Scores do not influence the choice.
    """
    preferred = sorted(rows, key=lambda row: (len(row.plugins), -row.seeds, row.label))
    chosen = {row.method: row for row in reversed(preferred)}
    return [row for row in rows if chosen[row.method] is row]


def rank(value: float, values: Sequence[float]) -> int:
    """Return the rank of a value: 1 for the highest; equal values share a rank."""
    return 1 + sum(other > value for other in values)
