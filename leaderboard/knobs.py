"""Tables that differ from a larger one in a single knob of the synthetic people, as one table a knob."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from usvi_bench.leaderboard.score_table import ScoreRow, ScoreTable


@dataclass(frozen=True, slots=True)
class Sweep:
    """One knob of the people of ``base`` turned; ``levels`` holds the base too, in ascending order."""

    knob: str
    base: ScoreTable
    levels: Mapping[float, ScoreTable]

    @property
    def base_level(self) -> float:
        """The level of the base."""
        return _level(self.base, self.knob)


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


def separate_sweeps(found: Sequence[ScoreTable]) -> tuple[list[ScoreTable], list[Sweep]]:
    """Separate tables that stand for themselves, in the order given, from the sweeps around them.

    People with one knob turned are a level of the sweep around the first table that equals theirs but for this knob.
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
        if levels.setdefault(level, one) is not one:  # other images of that level
            whole.append(one)
    sweeps = [Sweep(knob, found[place], dict(sorted(swept[place, knob].items()))) for place, knob in sorted(swept)]
    return whole, sweeps


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


def _find_base(level: ScoreTable, found: Sequence[ScoreTable]) -> int | None:
    """Return the place of the first table that a level of a sweep belongs to; None where there is none."""
    if len(level.knobs) != 1:
        return None
    (knob,) = level.knobs
    mine = _apart_from(level, knob)
    return next((i for i, one in enumerate(found) if not one.knobs and _apart_from(one, knob) == mine), None)


def _level(found: ScoreTable, knob: str) -> float:
    return float(json.loads(found.key.synthetic)["spec"][knob])


def _apart_from(found: ScoreTable, knob: str) -> object:
    """Return all that a level shares with its base: all but the images and the knob; None without that knob."""
    made = json.loads(found.key.synthetic or "{}")
    spec = made.get("spec", {})
    if knob not in spec:
        return None
    people = {**made, "spec": {**spec, knob: None}, "bytes": "", "images": 0}
    return found.key._replace(synthetic=json.dumps(people), fingerprint="")
