"""What a single setting does in an ablation: its main effect, over all pairs of rows that differ in it alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from leaderboard.markdown import signed, table
from reports.ablation_table import Ablation, Line

SHOWN = ("R1", "mAP")
PAIRS = 2
"""Fewer are no more than the difference of two rows, which the table of rows has."""


@dataclass(frozen=True)
class Effect:
    """The main effect of a setting: its value in the method as it is, against another one.

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


def effects(ablation: Ablation) -> list[Effect]:
    """Every value that two or more pairs of rows compare with that of the method as it is, in the order of the rows."""
    lines = [line for line in ablation.lines if len(line.scores)]
    usual = {key: value for line in lines for key, value in line.values.items() if key not in line.settings}
    compared: dict[tuple[str, str], list[tuple[Line, Line]]] = {}
    for other, line in product(lines, lines):
        match [key for key in line.values if line.values[key] != other.values[key]]:
            case [key] if key in usual and line.values[key] == usual[key]:
                compared.setdefault((key, repr(other.values[key])), []).append((line, other))
    found = []
    for (key, _), pairs in compared.items():
        seeds = set.intersection(*({*line.scores.index} & {*other.scores.index} for line, other in pairs))
        if len(pairs) >= PAIRS and seeds:
            gains = [(line.scores - other.scores).loc[sorted(seeds)] for line, other in pairs]
            mean = pd.concat(gains).groupby(level=0).mean()
            found.append(Effect(key, usual[key], pairs[0][1].values[key], len(pairs), mean))
    return found


def effects_table(ablation: Ablation) -> str:
    """Percent: mean over seeds with their spread, then mAP seed by seed; empty where no setting has pairs enough."""
    rows = [
        [
            f"`{effect.setting}` {effect.value}, not {effect.other}",
            str(effect.pairs),
            *(_cell(effect.gains[metric]) for metric in SHOWN),
            ", ".join(signed(gain) for gain in effect.gains["mAP"]),
        ]
        for effect in effects(ablation)
    ]
    return table(["Setting", "pairs", *(f"Δ{metric}" for metric in SHOWN), "ΔmAP by seed"], rows) if rows else ""


def _cell(gains: pd.Series[float]) -> str:
    return signed(gains.mean(), gains.std() if len(gains) > 1 else None)
