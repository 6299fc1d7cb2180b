"""``run.py report``: write the report of a finished run, or a comparison of several."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from usvi_bench.core.errors import UsageError, printable
from usvi_bench.core.options import Parser, program
from usvi_bench.core.paths import expanded

if TYPE_CHECKING:
    from usvi_bench.reports.runs import RecordedRun


def parser() -> ArgumentParser:
    """Build the parser of the command ``report``."""
    parser = Parser(
        prog=f"{program()} report", description="Write the report of a finished run, or a comparison of several."
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN|RECORDS|leaderboard:METHOD",
        help="folder of a finished run, a record file, a folder with several of them, or a row of the leaderboard",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="print the differences of the runs with intervals; refuse runs that cannot be compared query by query",
    )
    parser.add_argument(
        "--output",
        type=expanded,
        metavar="DIR",
        help="folder to write (for one run, the default is 'report' in its folder; --compare needs none)",
    )
    parser.add_argument(
        "--leaderboard", type=expanded, metavar="DIR", help="folder of the leaderboard's records (default: the suite's)"
    )
    parser.add_argument("--with-pictures", action="store_true", help="show images of people also from real data sets")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the report and print where its HTML page is.

    Raises:
        UsageError: an option is wrong, a path is not a run, or runs cannot be compared.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.core.paths import check_output
    from usvi_bench.engine.display import shown_on_terminal
    from usvi_bench.reports.comparison import compare
    from usvi_bench.reports.output import report_folder
    from usvi_bench.reports.report import report_on

    if options.output is not None:
        check_output(options.output)
    runs = _runs(options.runs, options.leaderboard)
    if options.compare:
        from usvi_bench.reports.groups import compared_groups
        from usvi_bench.reports.paired_table import paired_lines

        print(printable("\n".join(paired_lines(compared_groups(runs)))))
        if options.output is None:
            return
    if len(runs) > 1:
        if options.output is None:
            raise UsageError(
                f"{len(runs)} runs: give the folder of their comparison with --output DIR, or only print their "
                "differences with --compare"
            )
        with shown_on_terminal("comparing runs"):
            page = compare(runs, options.output, options.with_pictures)
        print(page.with_suffix(".html"))
        return
    (run,) = runs
    folder = options.output or (report_folder(run.folder) if run.folder else None)
    if folder is None:
        raise UsageError(
            f"{options.runs[0]} is a record outside a run's folder: give the folder of the report with --output DIR"
        )
    with shown_on_terminal("drawing the report"):
        page = report_on(run, folder, options.with_pictures)
    print(page.with_suffix(".html"))


def _runs(words: Sequence[str], leaderboard: Path | None) -> list[RecordedRun]:
    from usvi_bench.leaderboard.build import FOLDER
    from usvi_bench.reports.board_runs import PREFIX, board_runs
    from usvi_bench.reports.runs import find_recorded_runs

    rows = [word.removeprefix(PREFIX) for word in dict.fromkeys(words) if word.startswith(PREFIX)]
    paths = [expanded(word) for word in words if not word.startswith(PREFIX)]
    if rows and not paths:
        raise UsageError(
            f"{PREFIX}{rows[0]}: give a run or a record to compare with, which determines the protocol and the images"
        )
    runs = find_recorded_runs(paths)
    taken = {run.name for run in runs}
    own = runs[0]
    for row in rows:
        runs += board_runs(row, own, leaderboard or FOLDER, taken)
    return runs
