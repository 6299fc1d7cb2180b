"""``run.py ablation``: run the rows of a method's grid over seeds, and make their table and figures."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from usvi_bench.cli.failures import interruption_status
from usvi_bench.cli.model_options import add_device_option, add_output_option, add_set_option
from usvi_bench.core.errors import UsageError, show
from usvi_bench.core.options import Parser, add_import_option, command, program
from usvi_bench.core.paths import expanded
from usvi_bench.core.settings import SHARED

_MOST = {"seeds": 10_000, "jobs": 1024, "gpus": 1024, "time": 60 * 24 * 365}
"""Largest values of options that are counts or minutes."""


def parser() -> ArgumentParser:
    """Build the parser of the command ``ablation``."""
    parser = Parser(
        prog=f"{program()} ablation",
        description="Run the rows of a method's grid over seeds, and make their table and figures.",
    )
    add_import_option(parser)
    parser.add_argument(
        "--method", nargs="+", required=True, metavar="M", help="methods; each has its own grid of rows"
    )
    parser.add_argument("--protocol", nargs="+", required=True, metavar="P", help="protocols to score by")
    parser.add_argument(
        "--grid",
        type=expanded,
        metavar="FILE",
        help="file of the rows, .toml or .json (.py is executed; default: configs/ablations/<method>.toml)",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="run seeds 0 to N-1 of each row (default 3)")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="local: number of jobs at once, which share the CPU threads (default 1); slurm: number of queued jobs "
        "(default 100)",
    )
    parser.add_argument(
        "--launcher", choices=("local", "slurm"), default="local", help="where the jobs run (default: local)"
    )
    parser.add_argument("--partition", metavar="NAME", help="slurm: partition")
    parser.add_argument("--gpus", type=int, metavar="N", help="slurm: GPUs per job")
    parser.add_argument(
        "--time", type=int, metavar="MINUTES", help="slurm: time limit, after which a job is queued again (default 60)"
    )
    parser.add_argument(
        "--sbatch", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="slurm: e.g. account=me mem=16G"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="run nothing; print the jobs, their shared trainings and an estimate of the time",
    )
    parser.add_argument("--reuse", action="store_true", help="reuse the results of equal runs made outside the grid")
    parser.add_argument(
        "--track", nargs="+", action="extend", default=[], metavar="NAME", help="trackers that follow each run"
    )
    parser.add_argument("--publish", type=expanded, metavar="DIR", help="also copy table, figures and records to DIR")
    parser.add_argument("--data", default="auto", metavar="SPEC", help="as in run.py")
    parser.add_argument("--donors", metavar="SPEC", help="as in run.py")
    parser.add_argument("--setting", default=SHARED, metavar="NAME", help="as in run.py")
    parser.add_argument("--schedule", metavar="NAME|FILE", help="as in run.py")
    add_set_option(parser, "settings of all rows, as in run.py", training=True)
    parser.add_argument("--weights", metavar="FILE", help="as in run.py")
    add_device_option(parser, "as in run.py")
    add_output_option(parser)
    return parser


def main(arguments: Sequence[str]) -> None:
    """Plan the jobs, run them, and make their tables and figures.

    Raises:
        UsageError: an option or a row is wrong; raised before any work is done.
        SystemExit: with 1 if jobs failed, with 130 if the command was interrupted.
    """
    options = parser().parse_args(arguments)
    _check(options)
    from usvi_bench.sweep.run_grids import run_grids

    try:
        run_grids(options)
    except KeyboardInterrupt as error:
        print(
            f"interrupted; finished jobs and epochs are kept. To continue: {command('ablation', *arguments)}",
            file=sys.stderr,
        )
        raise SystemExit(interruption_status(error)) from None


def _check(options: Namespace) -> None:
    from usvi_bench.core.plugins import import_plugins
    from usvi_bench.core.registry import METHODS, PROTOCOLS

    import_plugins(options.imports)
    for name, registry in (("method", METHODS), ("protocol", PROTOCOLS)):
        for word in getattr(options, name):
            registry.get(word)
        setattr(options, name, list(dict.fromkeys(getattr(options, name))))
    for name, most in _MOST.items():
        value = getattr(options, name)
        if value is not None and not 1 <= value <= most:
            raise UsageError(f"--{name} {show(value)} must be from 1 to {most}")
    if options.launcher == "local":
        for name in ("partition", "gpus", "time", "sbatch"):
            if getattr(options, name) not in (None, []):
                raise UsageError(f"--{name} is for --launcher slurm; add that option, or leave out --{name}")
    for item in options.sbatch:
        name, equals, value = item.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII):
            raise UsageError(f"--sbatch {show(item)}: give it as name=value, for example --sbatch account=me")
        _check_line(f"--sbatch {name}", value)
    _check_line("--partition", options.partition or "")


def _check_line(option: str, value: str) -> None:
    """Refuse a value that would begin another line of the batch script."""
    if not value.isprintable():
        raise UsageError(f"{option}={show(value)}: give it in one line, without control characters")
