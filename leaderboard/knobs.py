"""Sweeps over knobs: score tables that differ from a base table in a single knob of the synthetic people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from usvi_bench.leaderboard.score_rows import ScoreRow
from usvi_bench.leaderboard.score_table import ScoreTable
from usvi_bench.synthetic.spec import level_of


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sweep of one knob of the people of ``base``; ``levels`` includes the base and is in ascending order."""

    knob: str
    base: ScoreTable
    levels: Mapping[float, ScoreTable]

    @property
    def base_level(self) -> float:
        """Level of the knob in the base table."""
        return _level(self.base, self.knob)


@dataclass(frozen=True, slots=True)
class SweepRow:
    """Row of a sweep: one configuration of a method, or chance, which has no seeds.

    Attributes:
        seeds: number of seeds that all levels share.
        values: mAP (fraction) of these seeds by level; levels without a run are absent.
        rows: complete score row of each level.
    """

    label: str
    seeds: int
    values: Mapping[float, pd.Series[float]]
    rows: Mapping[float, ScoreRow]

    def at(self, level: float) -> pd.Series[float]:
        """Return mAP by seed at a level; empty if the level has no run."""
        return self.values.get(level, pd.Series(dtype=float)).dropna()


def separate_sweeps(found: Sequence[ScoreTable]) -> tuple[list[ScoreTable], list[Sweep]]:
    """Separate base tables, in the given order, from sweeps around them.

    A table with one varied knob is a level of the sweep around the first table that is equal except for this knob.
    """
    whole: list[ScoreTable] = []
    swept: dict[tuple[int, str], dict[float, ScoreTable]] = {}
    for one in found:
        place = _find_base(one, found)
        if place is None:
            whole.append(one)
            continue
        ((knob, level),) = one.knobs.items()
        base = found[place]
        levels = swept.setdefault((place, knob), {_level(base, knob): base})
        if levels.setdefault(level, one) is not one:  # another data set with the same level
            whole.append(one)
    sweeps = [Sweep(knob, found[place], dict(sorted(swept[place, knob].items()))) for place, knob in sorted(swept)]
    return whole, sweeps


def sweep_rows(sweep: Sweep) -> list[SweepRow]:
    """Return a row for each configuration with a run at a varied level: first those of the base, in its order."""
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


def _find_base(level: ScoreTable, found: Sequence[ScoreTable]) -> int | None:
    """Return the index of the base table of a level, or None if ``found`` has no base for it."""
    if len(level.knobs) != 1:
        return None
    (knob,) = level.knobs
    mine = _apart_from(level, knob)
    return next((i for i, one in enumerate(found) if not one.knobs and _apart_from(one, knob) == mine), None)


def _level(found: ScoreTable, knob: str) -> float:
    level = level_of(json.loads(found.key.synthetic)["spec"], knob)
    assert level is not None  # _find_base selects tables that have the knob
    return level


def _apart_from(found: ScoreTable, knob: str) -> object:
    """Return a key that is equal for a level and its base: everything except images and knob; None without the knob."""
    made = json.loads(found.key.synthetic or "{}")
    spec = made.get("spec", {})
    if level_of(spec, knob) is None:
        return None
    people = {**made, "spec": {**spec, knob: None}, "bytes": "", "images": 0}
    return found.key._replace(synthetic=json.dumps(people, sort_keys=True), fingerprint="")
