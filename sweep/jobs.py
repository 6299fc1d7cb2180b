"""Jobs of a grid: experiment, trainings and state of each.

The whole state of a job is on disk. Its folder holds the experiment (``job.json``), the submission
(``submitted.json``), an error (``error.json``) and the result (``record.json``). The process that runs the job holds
the lock of the folder. A grid whose command was stopped or killed therefore continues from the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from usvi_bench.core.files import is_locked, read_json, write_json
from usvi_bench.core.typed import convert
from usvi_bench.engine.checkpoint import epochs_done
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.plan import StagePlan
from usvi_bench.reports.ablation_table import read_failure
from usvi_bench.sweep.grid import Row


class State(Enum):
    """State of a job."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Job:
    """Job of a grid: a row under one seed. Rows with equal settings share their jobs.

    Attributes:
        folder: output folder, whose name ends in a hash of everything that the result depends on.
        row: first row that the job belongs to.
        seed: seed of the run.
        experiment: experiment that the job runs.
        plans: trainings of the job, in order.
        grid: name of the grid.
        track: trackers that follow the run.
    """

    folder: Path
    row: Row
    seed: int
    experiment: Experiment
    plans: list[StagePlan]
    grid: str
    track: Sequence[str] = ()

    @cached_property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def done(self) -> bool:
        """True once the record is written."""
        return (self.folder / "record.json").exists()

    @property
    def error(self) -> str | None:
        """Error message of the last attempt, or None."""
        return None if self.done else read_failure(self.folder)

    @property
    def log(self) -> str | None:
        """Path of the log of the last attempt, or None."""
        return self.submission.get("log")

    @property
    def submission(self) -> dict[str, str]:
        """Launcher, number and log of the last attempt; empty without one, or if its file is damaged."""
        try:
            found: dict[str, str] = convert(dict[str, str], read_json(self.folder / "submitted.json"), "")
        except (OSError, ValueError):
            return {}
        return found

    @property
    def state(self) -> State:
        """State, read from disk; a job in a cluster's queue is pending."""
        if self.done:
            return State.DONE
        if is_locked(self.lock):
            return State.RUNNING
        return State.FAILED if self.error is not None else State.PENDING

    @property
    def lock(self) -> Path:
        """File that is locked while the job runs."""
        return self.folder / ".lock"

    @property
    def next_stage(self) -> StagePlan | None:
        """First training that is not finished, or None."""
        return next((plan for plan in self.plans if not plan.finished), None)

    @property
    def progress(self) -> str:
        """Position of the job, such as ``stage 2/2, epoch 3/6``."""
        plan = self.next_stage
        if plan is None:
            return "scoring"
        return f"stage {self.plans.index(plan) + 1}/{len(self.plans)}, epoch {epochs_done(plan.folder)}/{plan.epochs}"

    def prepare(self) -> None:
        """Write ``job.json`` and remove what the last attempt left."""
        content: dict[str, Any] = {"experiment": self.experiment.to_json(), "grid": self.grid, "row": self.row.name}
        content |= {"seed": self.seed, "track": list(self.track)}
        write_json(self.folder / "job.json", content)
        for name in ("error.json", "submitted.json"):
            (self.folder / name).unlink(missing_ok=True)

    def fail(self, message: str) -> None:
        """Write an error message to ``error.json``."""
        write_json(self.folder / "error.json", {"message": message})
