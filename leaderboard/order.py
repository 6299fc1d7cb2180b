"""The order of our methods on synthetic people beside their published order on the data set that is imitated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from usvi_bench.leaderboard.markdown import percent, table
from usvi_bench.leaderboard.published import Published, find_published
from usvi_bench.leaderboard.table import PROTOCOLS, Row, Table

NOTE = (
    "A check that nothing was tuned to, and no claim: people, network, schedule and code differ. Only methods with a "
    "published figure are ranked, each once."
)


def rank_agreement(found: Table, published: Sequence[Published]) -> list[str]:
    """Blocks of Markdown: mean mAP and rank of each method, ours and published; empty below three such methods."""
    pairs = [
        (row, float(row.values["mAP"].mean()), value)
        for row in _one_a_method(found.rows)
        if (entry := find_published(published, row.method, found.key.protocol, found.key.shots)) is not None
        and (value := entry.shown.value("mAP")) is not None
    ]
    if len(pairs) < 3:
        return []
    alike = [(a[1] - b[1]) * (a[2] - b[2]) > 0 for a, b in combinations(pairs, 2)]
    name = PROTOCOLS[found.key.protocol]
    here, elsewhere = [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    header = ["Method", "mAP here", "rank here", f"published mAP ({name})", "published rank"]
    lines = [
        [row.label, percent(ours), rank(ours, here), f"{value:.1f}", rank(value, elsewhere)]
        for row, ours, value in pairs
    ]
    title = f"Order on `{found.key.protocol}` beside the published one ({sum(alike)} of {len(alike)} pairs agree):"
    return [title, table(header, lines), NOTE]


def _one_a_method(rows: Sequence[Row]) -> list[Row]:
    """Of a method's rows one without the released code's defects, that with the most seeds, the first by its label.

    No score has a say in it.
    """
    preferred = sorted(rows, key=lambda row: (row.official, -row.seeds, row.label))
    chosen = {row.method: row for row in reversed(preferred)}
    return [row for row in rows if chosen[row.method] is row]


def rank(value: float, values: Sequence[float]) -> str:
    """1 for the highest; equal values share a rank."""
    return str(1 + sum(other > value for other in values))
