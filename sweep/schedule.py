"""Scheduling of jobs: a fixed number at once, and no training twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from usvi_bench.sweep.jobs import Job, State
from usvi_bench.sweep.launch import Launcher

Show = Callable[[], None]


def run_jobs(jobs: Sequence[Job], launcher: Launcher, slots: int, show: Show) -> None:
    """Bring every job to its end; one that fails leaves the others alone.

    A job starts only if no running job is at the training it would begin with: rows with the same first stage wait
    for the one that trains it, then share it. Jobs that an earlier call has left running are waited for. Jobs are
    stopped where a person interrupts; any other error leaves those that outlive this process running, for a later call
    to find.

    Args:
        jobs: in the order they should start.
        launcher: starts them.
        slots: how many at once.
        show: called after every look at them.
    """
    launcher.look()
    running = [job for job in jobs if not job.done and launcher.alive(job)]
    waiting = [job for job in jobs if not job.done and job not in running]
    gone: dict[Job, float] = {}
    try:
        while waiting or running:
            launcher.look()
            now = time.monotonic()
            gone = {job: gone.get(job, now) for job in running if not launcher.alive(job)}
            ended = [job for job, since in gone.items() if _settled(job, now - since, launcher)]
            for job in ended:
                _close(job)
            running = [job for job in running if job not in ended]
            for job in _ready(waiting, running, slots):
                waiting.remove(job)
                job.prepare()
                running.append(job)  # before it starts: an interruption in between stops it too
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
            launcher.look()
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
    """Return the key of the next stage to train; the name of the job if only scoring is left."""
    plan = job.next_stage
    return job.name if plan is None else plan.key


def _settled(job: Job, seconds: float, launcher: Launcher) -> bool:
    """Return whether the result of an ended job is known, or can no longer be expected."""
    return job.state in (State.DONE, State.FAILED) or seconds >= launcher.lateness


def _close(job: Job) -> None:
    """Mark a job as failed whose process left neither a record nor an error."""
    if job.state is State.PENDING:
        job.fail("its process exited without a result (killed or out of memory)")
