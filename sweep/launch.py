"""Launchers of jobs, based on submitit: local processes, or a Slurm cluster."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit
import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import is_locked, write_json
from usvi_bench.core.revision import ROOT, package_folder
from usvi_bench.sweep.jobs import Job
from usvi_bench.sweep.worker import Worker

IMPORTED_FROM = str(package_folder(ROOT).parent)
"""Folder that contains this package; jobs have it on their search path."""
MINUTES_A_YEAR = 60 * 24 * 365
SILENCE = 600.0
"""Seconds of squeue failures before a warning."""
LATENESS = 90.0
"""Grace period before a job counts as failed: NFS caches for 60 seconds that a file does not exist."""


class Launcher(ABC):
    """Launcher that starts jobs and reports which still run."""

    poll: float
    """Seconds between two updates of the jobs' states."""
    lateness: float = 0.0
    """Seconds after a job's end within which its files must become visible."""
    lasting: bool = False
    """Whether jobs continue when the command that started them fails."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Start a job.

        Raises:
            OSError: the job cannot be started.
        """

    @abstractmethod
    def alive(self, job: Job) -> bool:
        """Return True if the job runs or waits in a queue, also if an earlier command started it."""

    @abstractmethod
    def stop(self, job: Job) -> None:
        """Stop a job; saved files stay. Local processes of other commands are not stopped."""

    @abstractmethod
    def refresh(self) -> None:
        """Query the states of all jobs once."""


class LocalLauncher(Launcher):
    """Local launcher: each job is a process; several GPUs are assigned round robin.

    Args:
        slots: number of concurrent jobs.
        use_gpu: whether jobs use the GPUs.
    """

    poll = 0.2

    def __init__(self, slots: int, use_gpu: bool) -> None:
        self.gpus = _visible_gpus() if use_gpu else []
        self.slots: list[Job | None] = [None] * slots
        self.started: dict[Job, submitit.Job[None]] = {}

    def start(self, job: Job) -> None:
        slot = next((i for i, held in enumerate(self.slots) if held is None or not self.alive(held)), 0)
        self.slots[slot] = job
        executor = submitit.LocalExecutor(folder=job.folder / "submit")
        executor.update_parameters(timeout_min=MINUTES_A_YEAR, stderr_to_stdout=True)
        with _importable(), _errors_to(job.folder / "submit" / "controller.log"):
            gpu = self.gpus[slot % len(self.gpus)] if self.gpus else None
            handle = executor.submit(Worker(), str(job.folder.absolute()), gpu)
        self.started[job] = handle
        _note(job, "local", handle)

    def alive(self, job: Job) -> bool:
        handle = self.started.get(job)
        return is_locked(job.lock) or (handle is not None and not handle.done())

    def stop(self, job: Job) -> None:
        if job in self.started:
            self.started[job].cancel()

    def refresh(self) -> None:  # `alive` checks each process
        return


class SlurmLauncher(Launcher):
    """Slurm launcher: each job is a Slurm job; at its time limit it is requeued and resumes from its last epoch.

    Args:
        cpus: number of CPUs per job.
        options: ``partition``, ``gpus`` and ``time`` (minutes); None selects the cluster's default.
        more: further options of sbatch, such as ``{"account": "me"}``.
        warn: prints a warning while jobs run.
    """

    poll = 3.0
    lateness = LATENESS
    lasting = True

    def __init__(
        self, cpus: int, options: Mapping[str, Any], more: Mapping[str, str], warn: Callable[[str], None]
    ) -> None:
        for program in ("sbatch", "srun", "squeue"):
            if shutil.which(program) is None:
                raise UsageError(f"--launcher slurm: no {program} on PATH; run it on a Slurm node, or use local")
        self.parameters: dict[str, Any] = {
            "cpus_per_task": cpus,
            "time": options["time"],
            "partition": options["partition"],
            "gpus_per_node": options["gpus"],
            "additional_parameters": dict(more),
            "stderr_to_stdout": True,
            "setup": [f"export PYTHONPATH={shlex.quote(IMPORTED_FROM)}:$PYTHONPATH"],
        }
        self.warn = warn
        self.queue: set[str] = set()
        self.last_answer: float | None = None
        """Time of the last answer of squeue, or of the last warning about missing answers."""

    def start(self, job: Job) -> None:
        executor = submitit.SlurmExecutor(folder=job.folder / "submit", max_num_timeout=1000)
        given = {name: value for name, value in self.parameters.items() if value is not None}
        executor.update_parameters(job_name=job.name, **given)
        try:
            handle = executor.submit(Worker(), str(job.folder.absolute()))
        except submitit.core.utils.FailedJobError as error:
            raise OSError(f"sbatch refused: {error}") from error
        self.queue.add(handle.job_id)
        _note(job, "slurm", handle)

    def alive(self, job: Job) -> bool:
        return is_locked(job.lock) or _slurm_id(job) in self.queue

    def stop(self, job: Job) -> None:
        number = _slurm_id(job)
        if number is not None:
            subprocess.run(["scancel", number], check=False, capture_output=True)

    def refresh(self) -> None:
        # not sacct, which needs an accounting database
        asked = subprocess.run(["squeue", "--me", "-h", "-o", "%i"], check=False, capture_output=True, text=True)
        if asked.returncode == 0:
            self.queue, self.last_answer = set(asked.stdout.split()), time.monotonic()
        elif self.last_answer is None:  # jobs of an earlier command may be queued; do not start them twice
            raise UsageError(f"squeue does not answer ({asked.stderr.strip()}); try again later, queued jobs continue")
        elif time.monotonic() > self.last_answer + SILENCE:
            self.last_answer = time.monotonic()
            self.warn(
                f"squeue has not answered for {SILENCE:.0f} s ({asked.stderr.strip()}): waiting; queued jobs continue, "
                "and the same command finds them again"
            )


def _note(job: Job, launcher: str, handle: submitit.Job[None]) -> None:
    log = str(handle.paths.stdout)
    write_json(job.folder / "submitted.json", {"launcher": launcher, "id": handle.job_id, "log": log})


def _slurm_id(job: Job) -> str | None:
    note = job.submission
    return note.get("id") if note.get("launcher") == "slurm" else None


def _visible_gpus() -> list[str]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not torch.cuda.is_available():
        return []
    return chosen.split(",") if chosen else [str(i) for i in range(torch.cuda.device_count())]


@contextmanager
def _errors_to(path: Path) -> Iterator[None]:
    """Redirect the errors of processes that start in the block to a file; they print tracebacks on an interruption."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(2)
    try:
        with path.open("ab") as log:
            os.dup2(log.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _importable() -> Iterator[None]:
    """Add this package to the search path of processes that start in the block."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([IMPORTED_FROM, *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
