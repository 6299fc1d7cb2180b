"""What a job's process does."""

from __future__ import annotations

import os
from pathlib import Path

from submitit.helpers import DelayedSubmission

from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.files import locked, read_json, write_json
from usvi_bench.core.process_memory import keep_freed_memory
from usvi_bench.engine.display import Display
from usvi_bench.engine.execute import execute
from usvi_bench.engine.experiment import Experiment


class Worker:
    """Runs one job; where a cluster stops it at its time limit, it is queued again and goes on."""

    def __call__(self, folder: str, gpu: str | None = None) -> None:
        """Run the job of a folder, on one GPU only where ``gpu`` names it as CUDA_VISIBLE_DEVICES does."""
        keep_freed_memory()
        if gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        run_job(Path(folder))

    def checkpoint(self, folder: str, gpu: str | None = None) -> DelayedSubmission:
        """What submitit queues in place of a job that met its time limit: the same, for trainings resume."""
        return DelayedSubmission(self, folder, gpu)


def run_job(folder: Path) -> None:
    """Run the experiment of ``job.json``; an error is kept in ``error.json`` and raised.

    Where another process has the job in hand, wait for it; where it is done, do nothing.
    """
    with locked(folder / ".lock", wait=True):
        if (folder / "record.json").exists():
            return
        job = read_json(folder / "job.json")
        try:
            run = Experiment.from_json(job["experiment"]).prepare(Display())
            if run.folder.name != folder.name:
                raise UsageError(
                    f"the code or the data has changed since the job was planned (it is now {run.folder.name}); "
                    "give the ablation command again"
                )
            run.folder, run.wait_for_lock, run.ablation = folder, True, f"{job['grid']}: {job['row']}"
            execute(run)
        except Exception as error:
            expected = isinstance(error, (UsageError, StorageError))
            write_json(
                folder / "error.json", {"message": str(error) if expected else f"{type(error).__name__}: {error}"}
            )
            raise
