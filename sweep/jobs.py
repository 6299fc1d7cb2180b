"""Jobs of a grid: what each runs, which trainings it needs, and its state.

All state of a job is on the disk. Its folder holds what it runs (``job.json``), where it was started
(``submitted.json``), an error (``error.json``) and the result (``record.json``); the process that runs it holds the
lock of the folder. A grid whose command was stopped or killed therefore continues from what is on the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from usvi_bench.core.files import is_locked, read_json, write_json
from usvi_bench.engine import checkpoint as checkpoints
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.plan import StagePlan
from usvi_bench.sweep.grid import Row


class State(Enum):
    """How far a job has come."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Job:
    """Job of a grid: a row under one seed. Rows with equal settings share their jobs.

    Attributes:
        folder: what it writes goes here; its name ends in a hash of all that the result depends on.
        row: first row that it belongs to.
        seed: of the run.
        experiment: what it runs.
        plans: its trainings, in order.
        grid: name of the grid.
    """

    folder: Path
    row: Row
    seed: int
    experiment: Experiment
    plans: list[StagePlan]
    grid: str

    @cached_property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def done(self) -> bool:
        """True once its record is written."""
        return (self.folder / "record.json").exists()

    @property
    def error(self) -> str | None:
        """What went wrong in the last attempt."""
        path = self.folder / "error.json"
        return str(read_json(path)["message"]) if path.exists() and not self.done else None

    @property
    def log(self) -> str | None:
        """Path of what the last attempt printed."""
        path = self.folder / "submitted.json"
        return str(read_json(path)["log"]) if path.exists() else None

    @property
    def state(self) -> State:
        """From what is on the disk; a job that waits in a cluster's queue is pending."""
        if self.done:
            return State.DONE
        if is_locked(self.lock):
            return State.RUNNING
        return State.FAILED if self.error is not None else State.PENDING

    @property
    def lock(self) -> Path:
        """File that is locked while somebody runs the job."""
        return self.folder / ".lock"

    @property
    def next_stage(self) -> StagePlan | None:
        """The first training that is not finished yet."""
        return next((plan for plan in self.plans if not plan.finished), None)

    @property
    def progress(self) -> str:
        """Where it is: ``stage 2/2, epoch 3/6``."""
        plan = self.next_stage
        if plan is None:
            return "scoring"
        latest = checkpoints.latest(plan.folder)
        epochs = int(latest.stem.removeprefix("epoch_")) if latest else 0
        return f"stage {self.plans.index(plan) + 1}/{len(self.plans)}, epoch {epochs}/{plan.epochs}"

    def prepare(self) -> None:
        """Write what the job runs, and forget how the last attempt ended."""
        content = {"experiment": self.experiment.to_json(), "grid": self.grid, "row": self.row.name, "seed": self.seed}
        write_json(self.folder / "job.json", content)
        (self.folder / "error.json").unlink(missing_ok=True)

    def fail(self, message: str) -> None:
        """Keep what went wrong."""
        write_json(self.folder / "error.json", {"message": message})
