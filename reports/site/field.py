"""The published state of the field in the site: its plots, and all its figures as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from usvi_bench.leaderboard.field_plot import draw_marks, draw_panel
from usvi_bench.leaderboard.published import Published
from usvi_bench.leaderboard.score_table import PROTOCOLS


def field_legend() -> dict[str, Markup]:
    """The marks of the plots, by what they mean."""
    return {words: Markup(svg) for words, svg in draw_marks().items()}


def field_panels(published: Sequence[Published]) -> list[Markup]:
    """A plot over years for each protocol that has dated figures."""
    drawn = (draw_panel(published, protocol) for protocol in PROTOCOLS)
    return [Markup(svg) for svg in drawn if svg]


def field_json(published: Sequence[Published]) -> dict[str, Any]:
    """All chosen figures, and those that disagree with them."""
    return {
        "schema": 1,
        "figures": [{**_plain(e.shown), "disagreeing": [_plain(o) for o in e.others]} for e in published],
    }


def _plain(figure: Any) -> dict[str, Any]:
    return {name: getattr(figure, name) for name in figure.__slots__}
