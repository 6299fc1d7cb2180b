"""``run.py report``: write the report of a finished run, or a comparison of several."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import Parser, program


def parser() -> ArgumentParser:
    """Build the parser of the command ``report``."""
    parser = Parser(
        prog=f"{program()} report", description="Write the report of a finished run, or a comparison of several."
    )
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN|RECORDS",
        help="folder of a finished run, a record file, or a folder that holds several of them",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder to write (for one run, the default is 'report' in its folder)",
    )
    parser.add_argument("--with-pictures", action="store_true", help="show images of people also from real data sets")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the report and print where it is.

    Raises:
        UsageError: an option is wrong, or a path is not a run.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.engine.display import shown_on_terminal
    from usvi_bench.reports.comparison import compare
    from usvi_bench.reports.output import report_folder
    from usvi_bench.reports.report import report_on
    from usvi_bench.reports.runs import find_recorded_runs

    runs = find_recorded_runs(options.runs)
    if len(runs) > 1:
        if options.output is None:
            raise UsageError(f"{len(runs)} runs: give the folder of their comparison with --output DIR")
        with shown_on_terminal("comparing runs"):
            page = compare(runs, options.output, options.with_pictures)
        print(page)
        return
    (run,) = runs
    folder = options.output or (report_folder(run.folder) if run.folder else None)
    if folder is None:
        raise UsageError(
            f"{options.runs[0]} is a record outside a run's folder: give the folder of the report with --output DIR"
        )
    with shown_on_terminal("drawing the report"):
        page = report_on(run, folder, options.with_pictures)
    print(page)
