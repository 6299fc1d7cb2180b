"""Effect of a single setting in an ablation: the mean gain over all pairs of rows that differ only in it.

If the rows have all combinations of settings, this is the main effect of the setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from usvi_bench.core.formatting import over_seeds, signed
from usvi_bench.core.markdown import code
from usvi_bench.core.table import Cell, Table, TableRow, gain_cell, value_cell
from usvi_bench.reports.ablation_table import Ablation, AblationRow

SHOWN = ("R1", "mAP")
_UNKNOWN = object()
PAIRS = 2
"""Minimum number of pairs; the table of rows already shows the difference of a single pair."""
NOTE = (
    "Gain of the method's value of a setting over another value: mean over the pairs of rows that differ only in this "
    "setting. If the rows have all combinations, this is the main effect. Percent, ± sample standard deviation over "
    "the n seeds available for all pairs."
)


@dataclass(frozen=True)
class Effect:
    """Effect of a setting: the value in the full method compared with another value.

    Attributes:
        setting: full name.
        value: value in the full method.
        other: value in other rows of the grid.
        pairs: number of pairs of rows that differ only in this setting.
        gains: one row per seed, one column per metric: score with ``value`` minus score with ``other``, mean over the
            pairs, as fractions; only seeds available for all pairs.
    """

    setting: str
    value: Any
    other: Any
    pairs: int
    gains: pd.DataFrame

    @property
    def label(self) -> str:
        """Compared values, in Markdown."""
        return f"{code(self.setting)} {self.value}, not {self.other}"


def effects(ablation: Ablation) -> list[Effect]:
    """Compute the effect of each setting that differs alone in two or more pairs of rows, in the order of the rows.

    Rows with equal settings are counted once. Pairs without a shared seed are skipped.
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
    """Build the table in percent: mean over seeds, then mAP by seed; None if no setting has enough pairs."""
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
