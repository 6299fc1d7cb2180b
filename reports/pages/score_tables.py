"""Documentation tables of mAP: methods, leads, corrupted images, other people, and ablation grids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import MISSING
from usvi_bench.leaderboard.significance import holm, paired_p
from usvi_bench.reports.ablation_effects import effects
from usvi_bench.reports.pages.page_table import BY_SEED, PageTable, format_each, format_mean_sd, format_p, quoted
from usvi_bench.reports.pages.sources import PEOPLE, PROTOCOL, Seeds, Sources

BASELINE = "cluster_contrast"
"""Method that leads are measured against."""
UPPER = {"`supervised` (true identities)": "supervised"}
LOWER = {"`untrained`": "untrained", "chance": "chance"}
"""Unranked rows by label: methods that are shown above and below the ranked ones."""


def score_table(name: str, *groups: Sequence[str]) -> PageTable:
    """Specify a table of mAP of all methods over all seeds, highest first; unranked rows are first and last.

    Args:
        name: name of the table.
        groups: groups of protocols that share trainings and therefore seeds.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        ranked = {quoted(method): method for method in sources.ranked(groups[0][0])}
        for label, method in (UPPER | ranked | LOWER).items():
            cells = []
            for group in groups:
                found = [sources.scores(protocol, method) for protocol in group]
                cells += [MISSING if method == "chance" else str(len(found[0])), *map(format_mean_sd, found)]
            yield [label, *cells]

    return PageTable(name, ["", *(title for group in groups for title in ("n", *map(quoted, group)))], rows)


def lead_table(name: str, *protocols: str, over: str = BASELINE) -> PageTable:
    """Specify a table of the leads of all ranked methods over another one, paired by seed, highest lead first.

    The p values are those of paired t-tests, after Holm's correction for all tests of the table.

    Args:
        name: name of the table.
        protocols: protocols; each has columns for the mean, the p value and the seeds.
        over: method (or the control) that is subtracted.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        methods = [method for method in sources.ranked(protocols[0]) if method != BASELINE]
        leads = {method: [_lead(sources, protocol, method, over) for protocol in protocols] for method in methods}
        p_values = iter(holm([paired_p(lead, 0 * lead) for found in leads.values() for lead in found]))
        tested = {method: [(lead, next(p_values)) for lead in found] for method, found in leads.items()}
        for method, found in sorted(tested.items(), key=lambda item: -item[1][0][0].mean()):
            cells = ((format_mean_sd(lead, sign=True), format_p(p), format_each(lead)) for lead, p in found)
            yield [quoted(method), *chain.from_iterable(cells)]

    titles = (title for protocol in protocols for title in (quoted(protocol), "p", BY_SEED))
    return PageTable(name, ["", *titles], rows)


def corruption_table(name: str, *pairs: tuple[str, str]) -> PageTable:
    """Specify a table of mAP on clean and on corrupted images, and of the share of mAP that is kept.

    Args:
        name: name of the table.
        pairs: pairs of protocols that score the same trainings; the second one has corrupted images.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for label, method in (UPPER | {quoted(method): method for method in sources.ranked(pairs[0][0])}).items():
            cells = []
            for pair in pairs:
                clean, corrupted = (sources.scores(protocol, method) for protocol in pair)
                kept = 100 * corrupted / clean
                cells += [str(len(kept)), *map(format_mean_sd, (clean, corrupted, kept))]
            yield [label, *cells]

    titles = (title for pair in pairs for title in ("n", *map(quoted, pair), "kept, %"))
    return PageTable(name, ["", *titles], rows)


def people_table(name: str, others: Mapping[str, int]) -> PageTable:
    """Specify a table of mAP on the people of the leaderboard and on other people.

    Args:
        name: name of the table.
        others: data seed of the other people by protocol.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        ranked = {quoted(method): method for method in sources.ranked(next(iter(others)))}
        for label, method in (UPPER | ranked | LOWER).items():
            pairs = [(protocol, seed) for protocol, other in others.items() for seed in (PEOPLE, other)]
            found = [sources.scores(protocol, method, people=seed) for protocol, seed in pairs]
            yield [label, *(format_mean_sd(values) for values in found)]

    titles = (f"{quoted(protocol)}, {seed}" for protocol, other in others.items() for seed in (PEOPLE, other))
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
    """Specify a table of mAP by level of a knob, and of the lead over the baseline at the first and the last level.

    Only seeds of all levels are used.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        alone, ends = sources.levels(knob, BASELINE), (levels[0], levels[-1])
        for method in methods:
            mine = sources.levels(knob, method)
            if absent := [level for level in levels for by in (mine, alone) if level not in by]:
                raise UsageError(f"{knob}={absent[0]:g}: no run of {method} or {BASELINE}")
            shared = _shared_seeds(by[level] for by in (mine, alone) for level in levels)
            means = [format_mean_sd(mine[level][shared]) for level in levels]
            leads = [format_mean_sd((mine[level] - alone[level])[shared], sign=True) for level in ends]
            yield [quoted(method), str(len(shared)), *means, *([MISSING] * len(leads) if method == BASELINE else leads)]

    titles = [f"{level:g}" for level in levels] + [f"lead at {level:g}" for level in (levels[0], levels[-1])]
    return PageTable(name, ["", "n", *titles], rows)


def grid_table(method: str, protocol: str = PROTOCOL) -> PageTable:
    """Specify a table of all rows of a method's grid: number of seeds, mAP, gain over the first row."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        first, *others = sources.grid(method, protocol).rows
        for row in (first, *others):
            scores = row.scores["mAP"]
            gain = format_mean_sd(100 * (scores - first.scores["mAP"]).dropna(), sign=True)
            yield [row.name, str(len(scores)), format_mean_sd(100 * scores), MISSING if row is first else gain]

    return PageTable(_grid_name("grid", method, protocol), ["row", "n", "mAP", "gain"], rows)


def effect_table(method: str, protocol: str = PROTOCOL) -> PageTable:
    """Specify a table of the effect of each setting, over the pairs of rows of a grid that differ only in it."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        for effect in effects(sources.grid(method, protocol)):
            gains = 100 * effect.gains["mAP"]
            counts = [str(effect.pairs), str(len(gains))]
            yield [effect.label, *counts, format_mean_sd(gains, sign=True), format_each(gains)]

    columns = ["setting", "pairs", "n", "difference", BY_SEED]
    return PageTable(_grid_name("effects", method, protocol), columns, rows)


def _grid_name(kind: str, method: str, protocol: str) -> str:
    return f"{kind}-{method}" if protocol == PROTOCOL else f"{kind}-{method}-{protocol}"


def _lead(sources: Sources, protocol: str, method: str, over: str) -> Seeds:
    """Return the lead of a method by seed."""
    lead: Seeds = (sources.scores(protocol, method) - sources.scores(protocol, over)).dropna()
    return lead


def _shared_seeds(found: Iterable[Seeds]) -> list[int]:
    """Return the seeds that all have in common."""
    every = [set(values.index) for values in found]
    return sorted(set.intersection(*every)) if every else []
