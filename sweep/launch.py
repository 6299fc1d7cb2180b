"""Starting jobs: as processes of this machine, or in a Slurm cluster's queue; submitit does both."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import submitit
import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import is_locked, read_json, write_json
from usvi_bench.core.revision import ROOT, package_folder
from usvi_bench.sweep.jobs import Job
from usvi_bench.sweep.worker import Worker

IMPORTED_FROM = str(package_folder(ROOT).parent)
"""Folder on the search path of jobs, in which they find this package."""
MINUTES_A_YEAR = 60 * 24 * 365
SILENCE = 600.0
"""Seconds of squeue failures before a warning."""
LATENESS = 90.0
"""Grace period before a job counts as failed: NFS caches for 60 seconds that a file does not exist."""


class Launcher(ABC):
    """Launcher that starts jobs and reports which still run."""

    poll: float
    """Seconds between two looks at the jobs."""
    lateness: float = 0.0
    """Seconds after a job's end until its files must be visible."""
    lasting: bool = False
    """Whether jobs outlive an error of the command that started them."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Begin a job.

        Raises:
            OSError: it cannot be started.
        """

    @abstractmethod
    def alive(self, job: Job) -> bool:
        """Whether the job runs or waits in a queue, whoever started it."""

    @abstractmethod
    def stop(self, job: Job) -> None:
        """End a job; what it has saved stays. Processes of this machine that another call started are left alone."""

    @abstractmethod
    def look(self) -> None:
        """Ask once for the states of all jobs."""


class LocalLauncher(Launcher):
    """Each job is a process; where there are GPUs, jobs take them in turn.

    Args:
        slots: jobs at once.
        use_gpu: False keeps jobs off the GPUs.
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
        with _importable():
            gpu = self.gpus[slot % len(self.gpus)] if self.gpus else None
            handle = executor.submit(Worker(), str(job.folder.absolute()), gpu)
        self.started[job] = handle
        _note(job, "local", handle)

    def alive(self, job: Job) -> bool:
        handle = self.started.get(job)
        return is_locked(job.lock) if handle is None else not handle.done()

    def stop(self, job: Job) -> None:
        if job in self.started:
            self.started[job].cancel()

    def look(self) -> None:  # processes are asked one by one
        return


class SlurmLauncher(Launcher):
    """Each job is a job of the cluster; at its time limit it is queued again and goes on from its last epoch.

    Args:
        cpus: a job.
        options: ``partition``, ``gpus`` and ``time`` (minutes); None for the cluster's default.
        more: further options of sbatch: ``{"account": "me"}``.
        tell: prints a warning while jobs run.
    """

    poll = 3.0
    lateness = LATENESS
    lasting = True

    def __init__(
        self, cpus: int, options: Mapping[str, Any], more: Mapping[str, str], tell: Callable[[str], None]
    ) -> None:
        for program in ("sbatch", "srun", "squeue"):
            if shutil.which(program) is None:
                raise UsageError(f"--launcher slurm: no {program} on PATH; start it where Slurm is, or use local")
        self.parameters: dict[str, Any] = {
            "cpus_per_task": cpus,
            "time": options["time"],
            "partition": options["partition"],
            "gpus_per_node": options["gpus"],
            "additional_parameters": dict(more),
            "stderr_to_stdout": True,
            "setup": [f"export PYTHONPATH={shlex.quote(IMPORTED_FROM)}:$PYTHONPATH"],
        }
        self.tell = tell
        self.queue: set[str] = set()
        self.heard: float | None = None
        """Time of the queue's last answer, or of the last warning that it does not answer."""

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

    def look(self) -> None:
        # not sacct, which needs an accounting data base
        asked = subprocess.run(["squeue", "--me", "-h", "-o", "%i"], check=False, capture_output=True, text=True)
        if asked.returncode == 0:
            self.queue, self.heard = set(asked.stdout.split()), time.monotonic()
        elif self.heard is None:  # which jobs an earlier command left there is unknown: start none twice
            raise UsageError(f"squeue does not answer ({asked.stderr.strip()}); try again later, queued jobs go on")
        elif time.monotonic() > self.heard + SILENCE:
            self.heard = time.monotonic()
            self.tell(
                f"squeue has not answered for {SILENCE:.0f} s ({asked.stderr.strip()}): waiting; queued jobs go on, "
                "and the same command finds them again"
            )


def _note(job: Job, launcher: str, handle: submitit.Job[None]) -> None:
    log = str(handle.paths.stdout)
    write_json(job.folder / "submitted.json", {"launcher": launcher, "id": handle.job_id, "log": log})


def _slurm_id(job: Job) -> str | None:
    path = job.folder / "submitted.json"
    note = read_json(path) if path.exists() else {}
    return str(note["id"]) if note.get("launcher") == "slurm" else None


def _visible_gpus() -> list[str]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not torch.cuda.is_available():
        return []
    return chosen.split(",") if chosen else [str(i) for i in range(torch.cuda.device_count())]


@contextmanager
def _importable() -> Iterator[None]:
    """Processes started inside find this package wherever they are started."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([IMPORTED_FROM, *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
