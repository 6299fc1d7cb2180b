"""Worker: the process of a job."""

from __future__ import annotations

import os
from pathlib import Path

from submitit.helpers import DelayedSubmission

from usvi_bench.core.errors import StorageError, UsageError, WorkerError
from usvi_bench.core.files import locked, read_json, write_json
from usvi_bench.core.process_memory import keep_freed_memory
from usvi_bench.engine.display import Display
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.refuse_exit import refuse_exit
from usvi_bench.engine.tracking import execute_tracked


class Worker:
    """Worker that runs one job; a job that reaches the cluster's time limit is requeued and resumes."""

    def __call__(self, folder: str, gpu: str | None = None) -> None:
        """Run the job of a folder; ``gpu`` restricts it to one GPU, as in CUDA_VISIBLE_DEVICES."""
        keep_freed_memory()
        if gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        run_job(Path(folder))

    def checkpoint(self, folder: str, gpu: str | None = None) -> DelayedSubmission:
        """Return the same submission, which submitit requeues at the time limit; trainings resume."""
        return DelayedSubmission(self, folder, gpu)


def run_job(folder: Path) -> None:
    """Run the experiment of ``job.json``; write an error to ``error.json`` and raise it.

    If another process runs the job, wait for it. If the job is done, do nothing.
    """
    with locked(folder / ".lock", wait=True):
        if (folder / "record.json").exists():
            return
        job = read_json(folder / "job.json")
        try:
            with refuse_exit():
                run = Experiment.from_json(job["experiment"]).prepare(Display())
                if run.folder.name != folder.name:
                    raise UsageError(
                        f"the code or the data has changed since the job was planned (it is now {run.folder.name}); "
                        "repeat the ablation command"
                    )
                run.folder, run.wait_for_lock, run.ablation = folder, True, f"{job['grid']}: {job['row']}"
                execute_tracked(run, job.get("track", []))
        except Exception as error:
            expected = isinstance(error, (UsageError, StorageError, WorkerError))
            write_json(
                folder / "error.json", {"message": str(error) if expected else f"{type(error).__name__}: {error}"}
            )
            raise
