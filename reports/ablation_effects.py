"""What a single setting does in an ablation, over all pairs of rows that differ in it alone.

Where the rows hold all combinations, this is the setting's main effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from usvi_bench.leaderboard.markdown import signed, table
from usvi_bench.reports.ablation_table import Ablation, Line

SHOWN = ("R1", "mAP")
_UNKNOWN = object()
PAIRS = 2
"""Fewer are no more than the difference of two rows, which the table of rows has."""


@dataclass(frozen=True)
class Effect:
    """What a setting does: its value in the method as it is, against another one.

    Attributes:
        setting: full name.
        value: in the method as it is.
        other: what rows of the grid have instead.
        pairs: how many pairs of rows differ in this alone.
        gains: a row a seed, a column a metric: score with ``value`` minus score with ``other``, mean over the pairs, as
            fractions; only seeds that all pairs have.
    """

    setting: str
    value: Any
    other: Any
    pairs: int
    gains: pd.DataFrame

    @property
    def label(self) -> str:
        """What is compared, in Markdown."""
        return f"`{self.setting}` {self.value}, not {self.other}"


def effects(ablation: Ablation) -> list[Effect]:
    """Every value that two or more pairs of rows compare with that of the method as it is, in the order of the rows.

    Rows of the same settings count once, pairs without a seed in common not at all.
    """
    distinct = {repr(sorted(line.values.items())): line for line in reversed(ablation.lines) if len(line.scores)}
    lines = list(reversed(distinct.values()))
    defaults = {key: value for line in lines for key, value in line.values.items() if key not in line.settings}
    compared: dict[tuple[str, str], list[tuple[Line, Line]]] = {}
    for other, line in product(lines, lines):
        match [key for key in line.values if line.values[key] != other.values[key]]:
            case [key] if line.values[key] == defaults.get(key, _UNKNOWN) and _seeds(line, other):
                compared.setdefault((key, repr(other.values[key])), []).append((line, other))
    found = []
    for (key, _), pairs in compared.items():
        seeds = set.intersection(*(_seeds(line, other) for line, other in pairs))
        if len(pairs) >= PAIRS and seeds:
            gains = [(line.scores - other.scores).loc[sorted(seeds)] for line, other in pairs]
            mean = pd.concat(gains).groupby(level=0).mean()
            found.append(Effect(key, defaults[key], pairs[0][1].values[key], len(pairs), mean))
    return found


def effects_table(ablation: Ablation) -> str:
    """Percent: mean over seeds with their spread, then mAP seed by seed; empty where no setting has pairs enough."""
    rows = [
        [
            effect.label,
            str(effect.pairs),
            str(len(effect.gains)),
            *(_cell(effect.gains[metric]) for metric in SHOWN),
            ", ".join(signed(gain) for gain in effect.gains["mAP"]),
        ]
        for effect in effects(ablation)
    ]
    return table(["Setting", "pairs", "n", *(f"Δ{metric}" for metric in SHOWN), "ΔmAP by seed"], rows) if rows else ""


def _seeds(line: Line, other: Line) -> set[int]:
    return {*line.scores.index} & {*other.scores.index}


def _cell(gains: pd.Series[float]) -> str:
    return signed(gains.mean(), gains.std() if len(gains) > 1 else None)
