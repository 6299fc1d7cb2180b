"""Tables that differ from a larger one in a single knob of the synthetic people, as one table a knob."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from usvi_bench.leaderboard.score_table import ScoreRow, ScoreTable

NO_KNOBS = ("size", "seed", "height", "device")
"""Entries of a description of synthetic people that are no cause of difficulty."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One knob of the people of ``base`` turned; ``levels`` holds the base too, in ascending order."""

    knob: str
    base: ScoreTable
    levels: Mapping[float, ScoreTable]

    @property
    def base_level(self) -> float:
        """The level of the base."""
        return float(_spec(self.base)[self.knob])

    @property
    def title(self) -> str:
        """What was scored, in words."""
        return (
            f"mAP on `{self.base.key.protocol}` with `{self.knob}` of these people turned ({self.base_level:g} above), "
            "over the seeds that all levels of a row have"
        )


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One configuration of a method; chance has no seeds.

    Attributes:
        seeds: how many seeds all its levels share.
        values: mAP of these seeds by level, fractions; levels without a run are absent.
        rows: the whole row of each level.
    """

    label: str
    seeds: int
    values: Mapping[float, pd.Series[float]]
    rows: Mapping[float, ScoreRow]

    def at(self, level: float) -> pd.Series[float]:
        """What is known at a level; empty where nothing is."""
        return self.values.get(level, pd.Series(dtype=float)).dropna()


def split(found: Sequence[ScoreTable]) -> tuple[list[ScoreTable], list[Sweep]]:
    """Tables that stand for themselves, in the order given, and the sweeps around them.

    Of tables that differ in one knob only, the base is the one with the most runs, of several such the one from which
    most others can be reached by turning one knob, then the first.
    """
    near = [sum(_turned(one, other) is not None for other in found) for one in found]
    ranked = sorted(range(len(found)), key=lambda i: (-sum(row.seeds for row in found[i].rows), -near[i], i))
    bases: list[ScoreTable] = []
    swept: dict[tuple[int, str], dict[float, ScoreTable]] = {}
    for candidate in (found[i] for i in ranked):
        for i, base in enumerate(bases):
            if (knob := _turned(base, candidate)) is None:
                continue
            levels = swept.setdefault((i, knob), {_spec(base)[knob]: base})
            if levels.setdefault(_spec(candidate)[knob], candidate) is candidate:  # else other images of that level
                break
        else:
            bases.append(candidate)
    sweeps = [Sweep(knob, bases[i], dict(sorted(levels.items()))) for (i, knob), levels in sorted(swept.items())]
    return [one for one in found if any(one is base for base in bases)], sweeps


def sweep_rows(sweep: Sweep) -> list[SweepRow]:
    """Every configuration that was run with the knob turned: those of the base in its order, then the others."""
    levels = {level: {row.configuration: row for row in found.rows} for level, found in sweep.levels.items()}
    order = dict.fromkeys(row.configuration for found in (sweep.base, *sweep.levels.values()) for row in found.rows)
    lines = []
    for configuration in order:
        rows = {level: found[configuration] for level, found in levels.items() if configuration in found}
        if set(rows) != {sweep.base_level}:
            shared = sorted(set.intersection(*(set(row.values.index) for row in rows.values())))
            first = rows.get(sweep.base_level, next(iter(rows.values())))
            values = {level: row.values["mAP"][shared] for level, row in rows.items()}
            lines.append(SweepRow(first.label, len(shared) if first.seeds else 0, values, rows))
    return lines


def _spec(found: ScoreTable) -> dict[str, Any]:
    """The description of synthetic people; empty for real ones, and where a record has none."""
    return dict(json.loads(found.key.synthetic).get("spec", {})) if found.key.synthetic else {}


def _turned(base: ScoreTable, other: ScoreTable) -> str | None:
    """The one knob that two tables of synthetic people differ in; None where anything else differs too."""
    mine, theirs = _spec(base), _spec(other)
    if not mine or mine.keys() != theirs.keys() or not _alike(base, other):
        return None
    changed = [name for name in mine if mine[name] != theirs[name]]
    return changed[0] if len(changed) == 1 and changed[0] not in NO_KNOBS else None


def _alike(base: ScoreTable, other: ScoreTable) -> bool:
    """Whether all but images and knobs is equal: layout, generator version, protocol, setting, gallery."""
    mine, theirs = ({**json.loads(t.key.synthetic), "spec": {}, "bytes": "", "images": 0} for t in (base, other))
    keys = [t.key._replace(synthetic="", fingerprint="") for t in (base, other)]
    return bool(mine == theirs and keys[0] == keys[1])
