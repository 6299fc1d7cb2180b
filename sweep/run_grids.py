"""Ablation grids from checked options of ``run.py ablation``: planning, running, collecting results."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from usvi_bench.core.errors import UsageError
from usvi_bench.core.host import cpu_count
from usvi_bench.datasets.open import DataSource
from usvi_bench.engine.display import make_console
from usvi_bench.engine.dry_run import open_unchanged
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import parse_settings
from usvi_bench.engine.trackers import check_trackers
from usvi_bench.reports.ablation import check_publishable, publish_ablation, published_folder, write_ablation
from usvi_bench.sweep.grid import read_rows
from usvi_bench.sweep.jobs import State
from usvi_bench.sweep.launch import Launcher, LocalLauncher, SlurmLauncher
from usvi_bench.sweep.live_view import LiveView, failure, listing
from usvi_bench.sweep.planning import Grid, cached_opener, plan_grid
from usvi_bench.sweep.schedule import run_jobs

SLURM_CPUS, SLURM_JOBS = 4, 100
"""Default CPU threads of a job, and default number of queued jobs, on Slurm."""
VALUES = ("data", "donors", "setting", "schedule", "weights", "device", "output", "imports")
"""Options that all rows share."""


def run_grids(options: Namespace) -> None:
    """Plan and run the grids of checked options, and write their tables.

    Raises:
        UsageError: a setting or row is wrong; raised before any training.
        SystemExit: with status 1 if jobs failed.
        KeyboardInterrupt: the command was interrupted; finished jobs are kept.
    """
    console = make_console()
    check_trackers(options.track)
    settings = parse_settings(options.settings)
    threads = _threads(options, settings)
    slots = options.jobs or (SLURM_JOBS if options.launcher == "slurm" else 1)
    grids = list(_grids(options, settings, threads))
    if options.dry_run:
        listing(grids, slots, console)
        return
    for grid in grids if options.publish is not None else ():
        check_publishable(grid.content, published_folder(grid.content, options.publish))
    launcher = _launcher(options, slots, threads, console)
    for grid in grids:
        grid.write()
    try:
        with LiveView(grids, console) as view:
            run_jobs([job for grid in grids for job in grid.every_job], launcher, slots, view.show)
    finally:
        for grid in grids:
            write_ablation(grid.folder)
    for grid in grids if options.publish is not None else ():
        publish_ablation(grid.folder, options.publish)
    _report(grids, console)


def _grids(options: Namespace, settings: Mapping[str, Any], threads: int) -> Iterator[Grid]:
    opener = cached_opener(open_unchanged if options.dry_run else DataSource.open)
    for protocol in options.protocol:
        for method in options.method:
            values = {name: getattr(options, name) for name in VALUES}
            base = Experiment(method, protocol, settings=settings, **values)
            rows = read_rows(method, options.grid)
            name = options.grid.stem if options.grid else None
            yield plan_grid(
                base, rows, options.seeds, threads, opener, name=name, reuse=options.reuse, track=options.track
            )


def _report(grids: Sequence[Grid], console: Console) -> None:
    for grid in grids:
        console.print(str(grid.folder / "table.md"), markup=False)
    failed = [job for grid in grids for job in grid.every_job if job.state is State.FAILED]
    if failed:
        print(f"{len(failed)} jobs failed; repeat the command to try them again:", file=sys.stderr)
        for job in failed:
            print(failure(job), file=sys.stderr)
        raise SystemExit(1)


def _threads(options: Namespace, settings: Mapping[str, str]) -> int:
    """Return the threads of a job: ``engine.threads``, else ``SLURM_CPUS`` or a share of this machine's processors."""
    asked = settings.get("engine.threads", "0")
    if not asked.isdecimal():
        raise UsageError(f"engine.threads={asked}: expected a whole number")
    if int(asked):
        return int(asked)
    if options.launcher == "slurm":
        return SLURM_CPUS
    return max(1, cpu_count() // (options.jobs or 1))


def _launcher(options: Namespace, slots: int, threads: int, console: Console) -> Launcher:
    if options.launcher == "local":
        return LocalLauncher(slots, use_gpu=options.device != "cpu")
    limits = {"partition": options.partition, "gpus": options.gpus, "time": options.time or 60}
    more = dict(item.split("=", 1) for item in options.sbatch)
    return SlurmLauncher(threads, limits, more, warn=partial(console.print, markup=False))
