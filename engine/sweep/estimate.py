"""How much work a grid is, before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from engine.journal import Journal
from engine.plan import StagePlan
from engine.source import read_json
from engine.sweep.jobs import Job


@dataclass(frozen=True)
class Work:
    """Trainings that unfinished jobs need.

    Attributes:
        named: as often as jobs name them.
        distinct: each once.
        missing: of these, those that are not finished.
        users: how many jobs need a training, by its key.
        seconds: for the missing ones, one after another; None where no training of this data is finished.
    """

    named: int
    distinct: int
    missing: list[StagePlan]
    users: Counter[str]
    seconds: float | None

    @property
    def steps(self) -> int:
        """Optimiser steps of the missing trainings."""
        return sum(_steps(plan) for plan in self.missing)


def work(jobs: Iterable[Job]) -> Work:
    """Count what the unfinished ones among some jobs have to train."""
    plans = [plan for job in jobs if not job.done for plan in job.plans]
    users = Counter(plan.key for plan in plans)
    distinct = {plan.key: plan for plan in plans}
    missing = [plan for plan in distinct.values() if not plan.finished]
    return Work(len(plans), len(distinct), missing, users, _seconds(missing))


def _seconds(missing: Sequence[StagePlan]) -> float | None:
    """From the finished trainings beside them: of the same method where there is one, else the mean of all."""
    if not missing:
        return 0.0
    rates = _seconds_per_step(missing[0].folder.parent, missing[0].description["data"])
    if not rates:
        return None
    mean = fmean(rates.values())
    return sum(_steps(plan) * rates.get(plan.method, mean) for plan in missing)


def _seconds_per_step(stages: Path, data: str) -> dict[str, float]:
    """By method, over the finished trainings on a data set; embedding and clustering included."""
    seconds: dict[str, float] = {}
    steps: dict[str, int] = {}
    for path in sorted(stages.glob("*/finished.json")):
        description = read_json(path.with_name("config.json"))
        if description["data"] == data:
            for line in Journal(path.with_name("journal.jsonl")).read():
                if line["kind"] == "epoch":
                    method = description["method"]
                    seconds[method] = seconds.get(method, 0.0) + sum(line["seconds"].values())
                    steps[method] = steps.get(method, 0) + line["steps"]
    return {method: seconds[method] / steps[method] for method in seconds}


def _steps(plan: StagePlan) -> int:
    return plan.epochs * int(plan.description["train"]["iterations"])
