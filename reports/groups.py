"""Groups of comparable runs, and paired differences between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import NamedTuple, TypeAlias

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import file_name
from usvi_bench.core.record import Record
from usvi_bench.leaderboard.plugin_words import plugin_words
from usvi_bench.reports.bootstrap import Difference, Folds, Unit, paired_difference
from usvi_bench.reports.output import unused
from usvi_bench.reports.runs import RecordedRun

ALL_PAIRS_UP_TO = 5
"""Largest number of methods with comparisons of all pairs; with more, each is compared with the best only."""
UNITS: tuple[Unit, ...] = ("query", "person")


@dataclass(frozen=True)
class Group:
    """Group of runs of one configuration of a method, one run per seed."""

    label: str
    runs: list[RecordedRun]

    @property
    def seeds(self) -> list[int]:
        """Seeds in ascending order."""
        return sorted(run.record.result.seed for run in self.runs)

    def values(self, metric: str) -> list[float]:
        """Return the headline score of each seed, mean over folds and trials; seeds without scores are omitted."""
        return [means[metric] for run in self.runs if (means := run.record.means())]

    @property
    def mean_map(self) -> float:
        """Mean mAP over seeds; zero without scores."""
        return fmean(self.values("mAP") or [0.0])


Found: TypeAlias = tuple[Group, Group, str, Unit, Difference]
"""Baseline, compared group, metric, resampled unit and difference."""


class SetKey(NamedTuple):
    """Key of a set of comparable runs."""

    protocol: str
    fingerprint: str
    shots: int | None
    gallery: str
    folds: tuple[int, ...]
    trained: str


def set_key(record: Record) -> SetKey:
    """Return what runs must share to be compared: protocol, images, gallery, folds and training images."""
    result, kind = record.result, record.result.headline
    trained = (result.trained_on or result.donors or result.dataset)["fingerprint"]
    folds = tuple(sorted({score.fold for score in record.scores()} or result.folds))
    return SetKey(result.protocol, result.dataset["fingerprint"], kind["shots"], kind["gallery"], folds, trained)


def comparable(recorded: Sequence[RecordedRun]) -> dict[str, list[Group]]:
    """Collect sets of comparable runs by name; each set has its methods sorted by mean mAP, highest first."""
    found: dict[SetKey, dict[tuple[str, str, str, str], list[RecordedRun]]] = {}
    for run in recorded:
        result = run.record.result
        row = (result.method, result.config_hash, ", ".join(plugin_words(run.record)), run.origin)
        found.setdefault(set_key(run.record), {}).setdefault(row, []).append(run)
    sets: dict[str, list[Group]] = {}
    for key, methods in found.items():
        codes = {method: {code for other, _, code, _ in methods if other == method} for method, *_ in methods}
        groups = []
        for (method, config, code, origin), runs in methods.items():
            seeds = [run.record.result.seed for run in runs]
            if len(set(seeds)) < len(seeds):
                raise UsageError(f"{method}, {key.protocol}: seeds {seeds}: give each seed of a configuration once")
            several = len({config for other, config, _, place in methods if (other, place) == (method, origin)}) > 1
            marks = [config[:6]] if several else []
            marks += [code] if len(codes[method]) > 1 and code else []
            marks += [origin] if origin else []
            groups.append(Group(f"{method} ({', '.join(marks)})" if marks else method, runs))
        base = file_name(key.protocol)
        name = base if base not in sets else unused(f"{base}-{len(sets) + 1}", sets)
        sets[name] = sorted(groups, key=lambda group: (-group.mean_map, group.label))
    return sets


def paired(groups: Sequence[Group]) -> Iterator[Found]:
    """Yield differences of groups with stored query scores as (baseline, other, metric, unit, difference)."""
    able = able_groups(groups)
    pairs = list(combinations(able, 2)) if len(able) <= ALL_PAIRS_UP_TO else [(able[0], other) for other in able[1:]]
    for better, worse in pairs:
        for metric in ("mAP", "R1"):
            for unit in UNITS:
                yield worse, better, metric, unit, difference_of(worse, better, metric, unit)


def compared_groups(runs: Sequence[RecordedRun]) -> list[Group]:
    """Return the groups of runs that can all be compared query by query.

    Raises:
        UsageError: there is one row only, the runs differ in protocol, images or galleries, or some have no results of
            each query.
    """
    sets = comparable(runs)
    keys = {set_key(run.record): run.name for run in runs}
    if len(keys) > 1:
        (first, name), (second, other) = [*keys.items()][:2]
        parts = zip(SetKey._fields, first, second, strict=True)
        words = "; ".join(f"{part} {one!s:.40} and {two!s:.40}" for part, one, two in parts if one != two)
        raise UsageError(f"{name} and {other} cannot be compared: {words}; compare runs that share all of them")
    (groups,) = sets.values()
    if len(groups) < 2:
        raise UsageError(f"{groups[0].label}: all runs are seeds of one row; give another run, or leaderboard:METHOD")
    able = able_groups(groups)
    if lacking := [run.name for group in groups if group not in able for run in group.runs]:
        raise UsageError(
            f"{', '.join(lacking)}: no results of each query, or an older record without the digest of its galleries; "
            "repeat the commands of these runs: finished trainings are only scored again"
        )
    return groups


def able_groups(groups: Sequence[Group]) -> list[Group]:
    """Return the groups that can be compared query by query, in order.

    All their runs have the scores of all queries. If some have them without the paths of the queries, as files beside
    records do, the digests of queries and galleries of all runs must be known.
    """
    able = [group for group in groups if all(run.queries for run in group.runs)]
    if all(_has_paths(run) for group in able for run in group.runs):
        return able
    return [group for group in able if all(run.draws for run in group.runs)]


def difference_of(worse: Group, better: Group, metric: str, unit: Unit) -> Difference:
    """Compute the difference of two groups with its interval; see :func:`paired_difference`.

    Raises:
        UsageError: their queries, people or galleries differ.
    """
    runs = [*worse.runs, *better.runs]
    draws = {run.draws: run for run in runs if run.draws is not None}
    if len(draws) > 1:
        first, second = [*draws.values()][:2]
        raise UsageError(
            f"{first.name} and {second.name}: their queries, galleries or scored folds differ (result.queries.draws), "
            "although protocol and data set are the same; score both runs with one version of the suite"
        )
    named = all(map(_has_paths, runs))
    baseline, other = ([_folds(run, named) for run in group.runs] for group in (worse, better))
    try:
        return paired_difference(baseline, other, metric, unit)
    except ValueError as error:
        raise UsageError(f"{worse.label} and {better.label}: {error}") from error


def _folds(run: RecordedRun, named: bool) -> Folds:
    queries = run.queries or {}
    return queries if named else {fold: replace(scores, paths=()) for fold, scores in queries.items()}


def _has_paths(run: RecordedRun) -> bool:
    return all(scores.paths for scores in (run.queries or {}).values())


def scope(name: str, groups: Sequence[Group]) -> str:
    """Describe the runs of a figure for its footer."""
    return f"{name}; " + "; ".join(f"{group.label}: seed{_seeds(group)}" for group in groups)


def _seeds(group: Group) -> str:
    seeds = ", ".join(map(str, group.seeds))
    return f" {seeds}" if len(group.seeds) == 1 else f"s {seeds}"
