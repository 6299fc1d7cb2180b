"""Groups of comparable runs, and paired differences between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import file_name
from usvi_bench.reports.bootstrap import Difference, Unit, paired_difference
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


def comparable(recorded: Sequence[RecordedRun]) -> dict[str, list[Group]]:
    """Collect sets of comparable runs by name; each set has its methods sorted by mean mAP, highest first."""
    found: dict[tuple[Any, ...], dict[tuple[str, str], list[RecordedRun]]] = {}
    for run in recorded:
        result = run.record.result
        kind = result.headline
        trained = (result.trained_on or result.donors or result.dataset)["fingerprint"]
        folds = tuple(result.folds)
        key = (result.protocol, result.dataset["fingerprint"], kind["shots"], kind["gallery"], folds, trained)
        found.setdefault(key, {}).setdefault((result.method, result.config_hash), []).append(run)
    sets: dict[str, list[Group]] = {}
    for key, methods in found.items():
        names = [method for method, _ in methods]
        groups = []
        for (method, config), runs in methods.items():
            seeds = [run.record.result.seed for run in runs]
            if len(set(seeds)) < len(seeds):
                raise UsageError(f"{method}, {key[0]}: seeds {seeds}: give each seed of a configuration once")
            groups.append(Group(method if names.count(method) == 1 else f"{method} ({config[:6]})", runs))
        base = file_name(key[0])
        name = base if base not in sets else unused(f"{base}-{len(sets) + 1}", sets)
        sets[name] = sorted(groups, key=lambda group: (-group.mean_map, group.label))
    return sets


def paired(groups: Sequence[Group]) -> Iterator[tuple[Group, Group, str, Unit, Difference]]:
    """Yield differences of groups with stored query scores as (baseline, other, metric, unit, difference)."""
    able = [group for group in groups if all(run.queries for run in group.runs)]
    pairs = list(combinations(able, 2)) if len(able) <= ALL_PAIRS_UP_TO else [(able[0], other) for other in able[1:]]
    for better, worse in pairs:
        baseline, other = ([run.queries or {} for run in group.runs] for group in (worse, better))
        for metric in ("mAP", "R1"):
            for unit in UNITS:
                yield worse, better, metric, unit, paired_difference(baseline, other, metric, unit)


def scope(name: str, groups: Sequence[Group]) -> str:
    """Describe the runs of a figure for its footer."""
    return f"{name}; " + "; ".join(f"{group.label}: seed{_seeds(group)}" for group in groups)


def _seeds(group: Group) -> str:
    seeds = ", ".join(map(str, group.seeds))
    return f" {seeds}" if len(group.seeds) == 1 else f"s {seeds}"
