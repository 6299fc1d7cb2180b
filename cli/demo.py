"""``run.py demo``: train two methods briefly on a few synthetic people, and compare them."""

from __future__ import annotations

import os
import sys
import webbrowser
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.options import Parser, command, program
from usvi_bench.core.paths import expanded

PROTOCOL, METHODS = "sysu_all", ("cluster_contrast", "pgm")
NOTE = "These trainings are far too short to rank methods; 'start' is the encoder before them."


def parser() -> ArgumentParser:
    """Build the parser of the command ``demo``."""
    parser = Parser(
        prog=f"{program()} demo",
        description=f"Train {' and '.join(METHODS)} briefly on a few synthetic people, and compare them.",
    )
    parser.add_argument(
        "--output",
        type=expanded,
        default=Path("demo"),
        metavar="DIR",
        help="folder of the runs and pages (default: demo)",
    )
    parser.add_argument("--open", action="store_true", help="open the comparison in a browser, if there is a display")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Train both methods, write a report of each and their comparison, and print where they are.

    Raises:
        UsageError: the output folder cannot be used.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.api import run_experiment
    from usvi_bench.core.progress import show_progress
    from usvi_bench.engine.display import Display
    from usvi_bench.engine.experiment import Experiment
    from usvi_bench.reports.comparison import compare
    from usvi_bench.reports.html_page import PAGE
    from usvi_bench.reports.runs import find_recorded_runs

    folders, display = [], Display()
    for number, method in enumerate(METHODS, 1):
        display = Display()
        display.print(f"method {number} of {len(METHODS)}: {method}")
        output = options.output / "runs"
        experiment = Experiment(method, PROTOCOL, data="synthetic:size=tiny", schedule="quick", output=output)
        record, files = run_experiment(experiment, resume=True, overwrite=False, report=False, display=display)
        assert record is not None, "the command runs in one process"
        display.result(record)
        folders.append(files[0].parent)
    comparison = options.output / "comparison"
    with show_progress(display.work), display.work.idle("drawing the comparison"):
        compare(find_recorded_runs(folders), comparison, with_pictures=False)
    display.work.close()
    display.print(NOTE)
    for folder in folders:
        display.print(f"report:     {comparison / folder.name / PAGE}")
    display.print(f"comparison: {comparison / PAGE}")
    display.print(f"next (a full run, in minutes):\n  {command('--method', 'sclhm', '--protocol', PROTOCOL)}")
    if options.open:
        display.print(_open(comparison / PAGE))


def _open(page: Path) -> str:
    """Open a page in a browser if there is a terminal with a display; return what was done."""
    shown = sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if not (shown and sys.stdout.isatty()):
        return "--open: there is no display here; copy the folder, or open the page yourself"
    opened = webbrowser.open(page.resolve().as_uri())
    return "opened the comparison in a browser" if opened else "--open: no browser was found; open the page yourself"
