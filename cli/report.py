"""``run.py report``: pages about finished runs, one about each, and one that compares them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import Parser, program


def parser() -> ArgumentParser:
    """Build the parser of the command ``report``."""
    parser = Parser(prog=f"{program()} report", description=__doc__)
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN|RECORDS",
        help="folder of a finished run, a record file, or a folder with any number of either",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder to write; for one run by default 'report' in its folder",
    )
    parser.add_argument("--with-pictures", action="store_true", help="show pictures of people even if they are real")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the report and print where it is.

    Raises:
        UsageError: a wrong option, or what is named is no run.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.reports.comparison import compare
    from usvi_bench.reports.report import report_on
    from usvi_bench.reports.runs import find_recorded_runs

    runs = find_recorded_runs(options.runs)
    if len(runs) > 1:
        if options.output is None:
            raise UsageError(f"{len(runs)} runs: say where their comparison goes with --output DIR")
        print(compare(runs, options.output, options.with_pictures))
        return
    (run,) = runs
    folder = options.output or (run.folder / "report" if run.folder else None)
    if folder is None:
        raise UsageError(f"{options.runs[0]} is a record without its run: say where the report goes with --output DIR")
    print(report_on(run, folder, options.with_pictures))
