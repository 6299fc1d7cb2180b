"""What a single setting does in an ablation, over all pairs of rows that differ in it alone.

Where the rows hold all combinations, this is the setting's main effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from usvi_bench.core.formatting import over_seeds, signed
from usvi_bench.core.table import Cell, Table, TableRow, gain_cell, value_cell
from usvi_bench.reports.ablation_table import Ablation, AblationRow

SHOWN = ("R1", "mAP")
_UNKNOWN = object()
PAIRS = 2
"""Fewer are no more than the difference of two rows, which the table of rows has."""
NOTE = (
    "Gain of the value that the method has over another one, mean over the pairs of rows that differ in this setting "
    "alone: its main effect where the rows hold all combinations. Percent, ± sample standard deviation over the n "
    "seeds that all these pairs have."
)


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
    distinct = {repr(sorted(row.values.items())): row for row in reversed(ablation.rows) if len(row.scores)}
    rows = list(reversed(distinct.values()))
    defaults = {key: value for row in rows for key, value in row.values.items() if key not in row.settings}
    compared: dict[tuple[str, str], list[tuple[AblationRow, AblationRow]]] = {}
    for other, row in product(rows, rows):
        match [key for key in row.values if row.values[key] != other.values[key]]:
            case [key] if row.values[key] == defaults.get(key, _UNKNOWN) and _seeds(row, other):
                compared.setdefault((key, repr(other.values[key])), []).append((row, other))
    found = []
    for (key, _), pairs in compared.items():
        seeds = set.intersection(*(_seeds(row, other) for row, other in pairs))
        if len(pairs) >= PAIRS and seeds:
            gains = [(row.scores - other.scores).loc[sorted(seeds)] for row, other in pairs]
            mean = pd.concat(gains).groupby(level=0).mean()
            found.append(Effect(key, defaults[key], pairs[0][1].values[key], len(pairs), mean))
    return found


def effects_table(ablation: Ablation) -> Table | None:
    """Make the table in percent: mean over seeds, then mAP seed by seed; None where no setting has pairs enough."""
    rows = [
        TableRow(
            [
                Cell(effect.label),
                value_cell(effect.pairs),
                value_cell(len(effect.gains)),
                *(gain_cell(*over_seeds(effect.gains[metric])) for metric in SHOWN),
                Cell(", ".join(signed(gain) for gain in effect.gains["mAP"])),
            ]
        )
        for effect in effects(ablation)
    ]
    columns = ["Setting", "pairs", "n", *(f"Δ{metric}" for metric in SHOWN), "ΔmAP by seed"]
    title = f"Ablation: {ablation.title}: one setting at a time"
    return Table(title, columns, rows, notes=[NOTE]) if rows else None


def _seeds(row: AblationRow, other: AblationRow) -> set[int]:
    return {*row.scores.index} & {*other.scores.index}
