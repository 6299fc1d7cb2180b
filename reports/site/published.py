"""Published figures in the site: the plot for several screens, its text alternative, and the figures as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from usvi_bench.leaderboard.published import SETTINGS, Figure, Published, ordered
from usvi_bench.leaderboard.published_page import PLOT
from usvi_bench.leaderboard.published_plot import DARK, LIGHT, LOOKS, NARROW, WIDE, draw_published
from usvi_bench.leaderboard.score_table import PROTOCOLS

PLOTS = {
    "published-narrow-dark.svg": ("(max-width: 44rem) and (prefers-color-scheme: dark)", NARROW, DARK),
    "published-narrow.svg": ("(max-width: 44rem)", NARROW, LIGHT),
    "published-dark.svg": ("(prefers-color-scheme: dark)", WIDE, DARK),
    PLOT: ("", WIDE, LIGHT),
}
"""Files of the plot, each with the media query of its screens, layout and colours. The first that fits is shown."""


def draw_plots(published: Sequence[Published]) -> Iterator[tuple[str, bytes]]:
    """Draw the plot over the years for every kind of screen, as (file name, SVG)."""
    for name, (_, layout, theme) in PLOTS.items():
        yield name, draw_published(published, layout, theme)


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
