"""Documentation tables of mAP: methods, paired differences, knobs of the people, and ablation grids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import MISSING
from usvi_bench.reports.ablation_effects import effects
from usvi_bench.reports.pages.page_table import BY_SEED, PageTable, format_each, format_mean_sd, quoted
from usvi_bench.reports.pages.sources import CONTROL, PROTOCOL, Seeds, Sources, single

BASELINE = "cluster_contrast"
"""Method that leads are measured against."""


def score_table(name: str, methods: Mapping[str, str], *groups: Sequence[str]) -> PageTable:
    """Specify a table of mAP over all seeds.

    Args:
        name: name of the table.
        methods: methods by the label of their row.
        groups: groups of protocols that share trainings and therefore seeds.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for label, method in methods.items():
            cells = []
            for group in groups:
                found = [sources.scores(protocol, method) for protocol in group]
                cells += [MISSING if method == "chance" else str(len(found[0])), *map(format_mean_sd, found)]
            yield [label, *cells]

    return PageTable(name, ["", *(title for group in groups for title in ("n", *map(quoted, group)))], rows)


def difference_table(name: str, pairs: Sequence[tuple[str, str]], *groups: Sequence[str]) -> PageTable:
    """Specify a table of differences in mAP, paired by seed.

    Args:
        name: name of the table.
        pairs: pairs of methods (or the control); the second is subtracted from the first.
        groups: groups of protocols; each has a column for the mean over its protocols and one for the seeds.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for first, second in pairs:
            cells = []
            for group in groups:
                gains = [sources.scores(protocol, first) - sources.scores(protocol, second) for protocol in group]
                mean = pd.concat(gains, axis=1).dropna().mean(axis=1)
                cells += [format_mean_sd(mean, sign=True), format_each(mean)]
            yield [f"{quoted(first)} - {second if second == CONTROL else quoted(second)}", *cells]

    titles = (title for group in groups for title in (" and ".join(map(quoted, group)), BY_SEED))
    return PageTable(name, ["", *titles], rows)


def form_table(name: str, *methods: str) -> PageTable:
    """Specify a table of methods without and with the defects of the released code, over shared seeds."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        for method in methods:
            both = [sources.scores(PROTOCOL, method, released) for released in (False, True)]
            ours, theirs = (column for _, column in pd.concat(both, axis=1).dropna().items())
            gain = ours - theirs
            means = [format_mean_sd(ours), format_mean_sd(theirs), format_mean_sd(gain, sign=True)]
            yield [quoted(method), str(len(ours)), *means, format_each(gain)]

    return PageTable(name, ["", "n", "repaired", "released", "repaired - released", BY_SEED], rows)


def level_table(name: str, knob: str, levels: Sequence[float], *methods: str) -> PageTable:
    """Specify a table of mAP and lead over the baseline by level of a knob, over the seeds of all levels."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        alone = sources.levels(knob, BASELINE)
        for method in methods:
            mine = sources.levels(knob, method)
            if absent := [level for level in levels for by in (mine, alone) if level not in by]:
                raise UsageError(f"{knob}={absent[0]:g}: no run of {method} or {BASELINE}")
            shared = _shared_seeds(by[level] for by in (mine, alone) for level in levels)
            means = [format_mean_sd(mine[level][shared]) for level in levels]
            leads = [format_mean_sd((mine[level] - alone[level])[shared], sign=True) for level in levels]
            yield [quoted(method), str(len(shared)), *means, *([MISSING] * len(leads) if method == BASELINE else leads)]

    return PageTable(name, ["", "n", *(f"{x:g}" for x in levels), *(f"lead at {x:g}" for x in levels)], rows)


def knob_table(name: str, levels: Mapping[str, Sequence[float]], *methods: str) -> PageTable:
    """Specify a table of mAP at levels of several knobs, over the seeds of all levels of a knob."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        for knob, shown in levels.items():
            found = [sources.levels(knob, method) for method in methods]
            shared = [_shared_seeds(by.values()) for by in found]
            for level in shown:
                if not any(level in by for by in found):
                    raise UsageError(f"{knob}={level:g}: no run of {' or '.join(methods)}")
                values = [by[level][s] if level in by else Seeds() for by, s in zip(found, shared, strict=True)]
                yield [quoted(f"{knob}={level:g}"), *map(format_mean_sd, values)]

    return PageTable(name, ["knob", *map(quoted, methods)], rows)


def grid_table(method: str) -> PageTable:
    """Specify a table of all rows of a method's grid: number of seeds, mAP, gain over the first row."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        first, *others = sources.grid(method).rows
        for row in (first, *others):
            scores = row.scores["mAP"]
            gain = format_mean_sd(100 * (scores - first.scores["mAP"]).dropna(), sign=True)
            yield [row.name, str(len(scores)), format_mean_sd(100 * scores), MISSING if row is first else gain]

    return PageTable(f"grid-{method}", ["row", "n", "mAP", "gain"], rows)


def effect_table(method: str) -> PageTable:
    """Specify a table of the effect of each setting, over the pairs of rows of a grid that differ only in it."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        for effect in effects(sources.grid(method)):
            gains = 100 * effect.gains["mAP"]
            counts = [str(effect.pairs), str(len(gains))]
            yield [effect.label, *counts, format_mean_sd(gains, sign=True), format_each(gains)]

    return PageTable(f"effects-{method}", ["setting", "pairs", "n", "difference", BY_SEED], rows)


def first_seed_table(name: str, gains: Mapping[str, tuple[str, str, str]]) -> PageTable:
    """Specify a table of gains in mAP: with the first seed, and mean over the other seeds.

    Args:
        name: name of the table.
        gains: gains by the label of their row: a grid and two of its rows (gain of the first over the second), or a
            grid, a setting and an empty string (effect of the setting).
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for label, (grid, *compared) in gains.items():
            seeds = _gain(sources, grid, *compared)
            first, others = seeds[:1], seeds[1:]
            yield [label, format_mean_sd(first, sign=True), format_mean_sd(pd.Series([others.mean()]), sign=True)]

    return PageTable(name, ["", "seed 0", "mean of seeds 1 and 2"], rows)


def _gain(sources: Sources, grid: str, first: str, second: str) -> Seeds:
    """Return a gain in mAP by seed (see :func:`first_seed_table`).

    Raises:
        UsageError: the row or setting does not exist or is not unique.
    """
    found = sources.grid(grid)
    if not second:
        gains = (100 * effect.gains["mAP"] for effect in effects(found) if effect.setting == first)
        return single(gains, f"effect of {first} in the grid of {grid}").sort_index()
    one, other = (
        single((row.scores["mAP"] for row in found.rows if row.name == name), f"row '{name}' in the grid of {grid}")
        for name in (first, second)
    )
    gain: Seeds = 100 * (one - other).dropna()
    return gain.sort_index()


def _shared_seeds(found: Iterable[Seeds]) -> list[int]:
    """Return the seeds that all have in common."""
    every = [set(values.index) for values in found]
    return sorted(set.intersection(*every)) if every else []
