"""Published figures in the site: a text alternative of the plot, and the figures as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from usvi_bench.leaderboard.published import SETTINGS, Figure, Published, ordered
from usvi_bench.leaderboard.published_plot import LOOKS
from usvi_bench.leaderboard.score_table import PROTOCOLS


def describe_published(published: Sequence[Published]) -> str:
    """Describe the plot over the years: the highest mAP for each protocol and each use of labels."""
    sentences = []
    for protocol, name in PROTOCOLS.items():
        best: dict[str, Figure] = {}
        for shown in (entry.shown for entry in ordered(published, protocol)):  # by mAP within a setting
            if shown.year is not None and "mAP" in shown.metrics and not shown.is_variant:
                best.setdefault(shown.setting, shown)
        found = [
            f"{LOOKS[setting][0]} up to {best[setting].metrics['mAP']} ({best[setting].method}, {best[setting].year})"
            for setting in SETTINGS
            if setting in best
        ]
        sentences += [f"{name}: {', '.join(found)}."] if found else []
    return " ".join(["Published mAP in percent over the years.", *sentences])


def published_json(published: Sequence[Published]) -> dict[str, Any]:
    """Return all chosen figures and the figures that disagree with them, for JSON."""
    return {
        "schema": 1,
        "figures": [{**_plain(e.shown), "disagreeing": [_plain(o) for o in e.others]} for e in published],
    }


def _plain(figure: Any) -> dict[str, Any]:
    return {name: getattr(figure, name) for name in figure.__slots__}
