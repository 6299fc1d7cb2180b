"""``run.py ablation``: run the rows of a method's grid over seeds, and make their table and figures."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import Parser, program
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.core.settings import SHARED
from usvi_bench.engine.display import make_console
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import parse_settings
from usvi_bench.reports.ablation import check_publishable, publish_ablation, write_ablation
from usvi_bench.sweep.board import Board, failure, listing
from usvi_bench.sweep.grid import read_rows
from usvi_bench.sweep.jobs import State
from usvi_bench.sweep.launch import Launcher, LocalLauncher, SlurmLauncher
from usvi_bench.sweep.planning import Grid, cached_opener, plan_grid
from usvi_bench.sweep.schedule import run_jobs

SLURM_CPUS, SLURM_JOBS = 4, 100
"""CPU threads of a job, and jobs in the queue at once, where nothing else is asked for."""


def parser() -> ArgumentParser:
    """Build the parser of the command ``ablation``."""
    parser = Parser(prog=f"{program()} ablation", description=__doc__)
    parser.add_argument("--method", nargs="+", required=True, metavar="M", help="methods, each with its own rows")
    parser.add_argument("--protocol", nargs="+", required=True, metavar="P", help="protocols to score by")
    parser.add_argument("--grid", type=Path, metavar="FILE", help="rows; default: configs/ablations/<method>.py")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="run seeds 0 to N-1 of each row (default 3)")
    parser.add_argument("--jobs", type=int, metavar="N", help="jobs at once; they share the CPU threads (default 1)")
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local", help="where jobs run")
    parser.add_argument("--partition", metavar="NAME", help="slurm: partition")
    parser.add_argument("--gpus", type=int, metavar="N", help="slurm: GPUs a job")
    parser.add_argument("--time", type=int, metavar="MINUTES", help="slurm: time limit; then queued again (default 60)")
    parser.add_argument(
        "--sbatch", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="slurm: e.g. account=me mem=16G"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the jobs, what they share and an estimate")
    parser.add_argument("--reuse", action="store_true", help="take results of equal runs made outside the grid")
    parser.add_argument("--publish", type=Path, metavar="DIR", help="also copy table, figures and records to DIR")
    parser.add_argument("--data", default="auto", metavar="SPEC", help="as in run.py")
    parser.add_argument("--setting", default=SHARED, metavar="NAME", help="as in run.py")
    parser.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="settings of all rows, as in run.py",
    )
    parser.add_argument("--weights", metavar="FILE", help="as in run.py")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--output", type=Path, default=Path("runs"), metavar="DIR", help="folder that keeps all runs")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Plan, run, gather.

    Raises:
        UsageError: a wrong option or row, before any work is done.
        SystemExit: with 1 where jobs failed, with 130 where the command was interrupted.
    """
    options = parser().parse_args(arguments)
    _check(options)
    console = make_console()
    settings = parse_settings(options.settings)
    threads = _threads(options, settings)
    slots = options.jobs or (SLURM_JOBS if options.launcher == "slurm" else 1)
    grids = list(_grids(options, settings, threads))
    if options.dry_run:
        listing(grids, slots, console)
        return
    for grid in grids if options.publish is not None else ():
        check_publishable(grid.content, options.publish / f"{grid.method}-{grid.protocol}")
    launcher = _launcher(options, slots, threads, console)
    for grid in grids:
        grid.write()
    try:
        with Board(grids, console) as board:
            run_jobs([job for grid in grids for job in grid.every_job], launcher, slots, board.show)
    except KeyboardInterrupt:
        print("interrupted: the same command runs what is missing", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        for grid in grids:
            write_ablation(grid.folder)
            if options.publish is not None:
                publish_ablation(grid.folder, options.publish)
    _report(grids, console)


def _grids(options: Namespace, settings: Mapping[str, Any], threads: int) -> Iterator[Grid]:
    opener = cached_opener()
    for protocol in options.protocol:
        for method in options.method:
            values = {name: getattr(options, name) for name in ("data", "setting", "weights", "device", "output")}
            base = Experiment(method, protocol, settings=settings, **values)
            rows = read_rows(method, options.grid)
            name = options.grid.stem if options.grid else None
            yield plan_grid(base, rows, options.seeds, threads, opener, name=name, reuse=options.reuse)


def _report(grids: Sequence[Grid], console: Console) -> None:
    for grid in grids:
        console.print(str(grid.folder / "table.md"), markup=False)
    failed = [job for grid in grids for job in grid.every_job if job.state is State.FAILED]
    if failed:
        print(f"{len(failed)} jobs failed; the same command tries them again:", file=sys.stderr)
        for job in failed:
            print(failure(job), file=sys.stderr)
        raise SystemExit(1)


def _check(options: Namespace) -> None:
    for name, registry in (("method", METHODS), ("protocol", PROTOCOLS)):
        for word in getattr(options, name):
            registry.get(word)
        setattr(options, name, list(dict.fromkeys(getattr(options, name))))
    for name in ("seeds", "jobs"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise UsageError(f"--{name} {getattr(options, name)} must be at least 1")
    if options.launcher == "local":
        for name in ("partition", "gpus", "time", "sbatch"):
            if getattr(options, name):
                raise UsageError(f"--{name} is for --launcher slurm")
    for item in options.sbatch:
        if "=" not in item:
            raise UsageError(f"--sbatch {item}: give it as name=value, for example --sbatch account=me")


def _threads(options: Namespace, settings: Mapping[str, str]) -> int:
    """Return the threads of a job: ``engine.threads``, else a share of this machine's, or Slurm's default here."""
    asked = settings.get("engine.threads", "0")
    if not asked.isdigit():
        raise UsageError(f"engine.threads={asked}: expected a whole number")
    if int(asked):
        return int(asked)
    if options.launcher == "slurm":
        return SLURM_CPUS
    return max(1, len(os.sched_getaffinity(0)) // (options.jobs or 1))


def _launcher(options: Namespace, slots: int, threads: int, console: Console) -> Launcher:
    if options.launcher == "local":
        return LocalLauncher(slots, use_gpu=options.device != "cpu")
    limits = {"partition": options.partition, "gpus": options.gpus, "time": options.time or 60}
    more = dict(item.split("=", 1) for item in options.sbatch)
    return SlurmLauncher(threads, limits, more, tell=partial(console.print, markup=False))
