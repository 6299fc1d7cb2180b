"""Estimate of the work of a grid before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json
from usvi_bench.core.journal import Journal
from usvi_bench.engine.plan import StagePlan
from usvi_bench.sweep.jobs import Job


@dataclass(frozen=True)
class Work:
    """Work of unfinished jobs, in trainings.

    Attributes:
        named: number of trainings, counted once for every job that needs them.
        distinct: number of different trainings.
        missing: different trainings that are not finished.
        users: number of jobs that need a training, by its key.
        seconds: estimated sequential time of the missing trainings, without the ``unknown`` ones.
        unknown: missing trainings without an estimate, because no training on the same data is finished.
    """

    named: int
    distinct: int
    missing: list[StagePlan]
    users: Counter[str]
    seconds: float
    unknown: list[StagePlan]

    @property
    def steps(self) -> int:
        """Optimiser steps of the missing trainings."""
        return sum(_steps(plan) for plan in self.missing)


def work(jobs: Iterable[Job]) -> Work:
    """Count the trainings that the unfinished jobs need."""
    plans = [plan for job in jobs if not job.done for plan in job.plans]
    users = Counter(plan.key for plan in plans)
    distinct = {plan.key: plan for plan in plans}
    missing = [plan for plan in distinct.values() if not plan.finished]
    seconds, unknown = _seconds(missing)
    return Work(len(plans), len(distinct), missing, users, seconds, unknown)


def _seconds(missing: Sequence[StagePlan]) -> tuple[float, list[StagePlan]]:
    """Estimate seconds from finished trainings on the same data: of the same method, else the mean over methods."""
    rates = {
        (stages, data): _seconds_per_step(stages, data)
        for stages, data in {(plan.folder.parent, plan.description["data"]) for plan in missing}
    }
    total, unknown = 0.0, []
    for plan in missing:
        known = rates[plan.folder.parent, plan.description["data"]]
        if known:
            total += _steps(plan) * known.get(plan.method, fmean(known.values()))
        else:
            unknown.append(plan)
    return total, unknown


def _seconds_per_step(stages: Path, data: str) -> dict[str, float]:
    """Return seconds per step by method, over the finished trainings on a data set; embedding and clustering count."""
    seconds: dict[str, float] = {}
    steps: dict[str, int] = {}
    for path in sorted(stages.glob("*/finished.json")):
        try:
            description = read_json(path.with_name("config.json"))
            method, same = description["method"], description["data"] == data
            lines = Journal(path.with_name("journal.jsonl")).read() if same else []
            epochs = [(sum(line["seconds"].values()), line["steps"]) for line in lines if line["kind"] == "epoch"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, UsageError):
            continue  # a damaged training gives no estimate
        for spent, done in epochs:
            seconds[method] = seconds.get(method, 0.0) + spent
            steps[method] = steps.get(method, 0) + done
    return {method: seconds[method] / steps[method] for method in seconds}


def _steps(plan: StagePlan) -> int:
    return plan.epochs * int(plan.description["settings"]["train"]["iterations"])
