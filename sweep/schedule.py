"""Scheduling of jobs: a fixed number runs concurrently, and no training runs twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from usvi_bench.sweep.jobs import Job, State
from usvi_bench.sweep.launch import Launcher

Show = Callable[[], None]


def run_jobs(jobs: Sequence[Job], launcher: Launcher, slots: int, show: Show) -> None:
    """Run every job to its end; a failed job does not affect the others.

    A job starts only if no running job is at the training that it would begin with: rows with the same first stage wait
    for the job that trains it, then share it. Jobs left running by an earlier call are waited for. An interruption
    (Ctrl-C) stops all jobs. After any other error, jobs that outlive this process continue; a later call finds them.

    Args:
        jobs: jobs in starting order.
        launcher: starts the jobs.
        slots: number of concurrent jobs.
        show: called after every update of the jobs' states.
    """
    launcher.refresh()
    running = [job for job in jobs if not job.done and launcher.alive(job)]
    waiting = [job for job in jobs if not job.done and job not in running]
    gone: dict[Job, float] = {}
    try:
        while waiting or running:
            launcher.refresh()
            now = time.monotonic()
            gone = {job: gone.get(job, now) for job in running if not launcher.alive(job)}
            ended = [job for job, since in gone.items() if _settled(job, now - since, launcher)]
            for job in ended:
                _close(job)
            running = [job for job in running if job not in ended]
            for job in _ready(waiting, running, slots):
                waiting.remove(job)
                job.prepare()
                running.append(job)  # before the start, so that an interruption in between stops the job too
                try:
                    launcher.start(job)
                except OSError as error:
                    running.remove(job)
                    job.fail(str(error))
            show()
            time.sleep(launcher.poll if running else 0)
    except BaseException as error:
        if launcher.lasting and not isinstance(error, KeyboardInterrupt):
            raise
        for job in running:
            launcher.stop(job)
        deadline = time.monotonic() + 10
        while any(launcher.alive(job) for job in running) and time.monotonic() < deadline:
            time.sleep(launcher.poll)
            launcher.refresh()
        raise


def _ready(waiting: Sequence[Job], running: Sequence[Job], slots: int) -> list[Job]:
    busy = {_next(job) for job in running}
    chosen: list[Job] = []
    for job in waiting:
        if len(running) + len(chosen) < slots and _next(job) not in busy:
            chosen.append(job)
            busy.add(_next(job))
    return chosen


def _next(job: Job) -> str:
    """Return the key of the next stage to train, or the name of the job if only scoring is left."""
    plan = job.next_stage
    return job.name if plan is None else plan.key


def _settled(job: Job, seconds: float, launcher: Launcher) -> bool:
    """Return True if the result of an ended job is on disk, or can no longer be expected."""
    return job.state in (State.DONE, State.FAILED) or seconds >= launcher.lateness


def _close(job: Job) -> None:
    """Mark a job as failed if its process left neither a record nor an error."""
    if job.state is State.PENDING:
        job.fail("its process exited without a result (killed or out of memory); finished epochs are kept")
