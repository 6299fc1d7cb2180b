"""``python run.py site``: write the static site."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import StorageError, UsageError, printable
from usvi_bench.core.files import temporary_folder
from usvi_bench.core.options import Parser, explain_missing_path, program
from usvi_bench.core.paths import expanded

MARK = ".usvi-site"
"""File that marks a folder as a site, which may be replaced."""
RUNS = Path("runs")


def parser() -> ArgumentParser:
    """Build the parser of the command ``site``."""
    parser = Parser(prog=f"{program()} site", description="Write the static site.")
    parser.add_argument(
        "--output", type=expanded, default=Path("site"), metavar="DIR", help="folder of the site (default: site)"
    )
    parser.add_argument(
        "--runs", type=expanded, metavar="DIR", help="folder of finished runs to show (default: 'runs' if it exists)"
    )
    parser.add_argument(
        "--leaderboard", type=expanded, metavar="DIR", help="folder of records and published.csv (default: the suite's)"
    )
    parser.add_argument("--with-pictures", action="store_true", help="show images of people also from real data sets")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the site of a leaderboard whose records are consistent.

    Raises:
        UsageError: an option, path, record or report is wrong.
        StorageError: a write failed; the previous site is unchanged.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.leaderboard.build import FOLDER, load_every_record, refuse_inconsistent

    leaderboard = options.leaderboard or FOLDER
    runs = options.runs or (RUNS if RUNS.is_dir() else None)
    if runs is not None and not runs.is_dir():
        raise UsageError(
            f"--runs {runs}: {explain_missing_path(runs)}; give the folder of the runs (--output of run.py)"
        )
    if not leaderboard.is_dir():
        raise UsageError(f"--leaderboard {leaderboard}: {explain_missing_path(leaderboard)}")
    records = leaderboard / "records"
    refuse_inconsistent(load_every_record(records), records)
    write_site(leaderboard, runs, options.output, options.with_pictures)
    print(options.output / "index.html")


def write_site(leaderboard: Path, runs: Path | None, output: Path, with_pictures: bool = False) -> None:
    """Build the site in a temporary folder, then move it to its place.

    Raises:
        UsageError: a record or report is wrong, or ``output`` is not a site.
        StorageError: a write failed; the previous site is unchanged.
    """
    from usvi_bench.reports.site.build import build_site, read_content

    _refuse_other_folder(output)
    content = read_content(leaderboard, runs, _say)
    output = Path.cwd() / output  # has a name and a parent
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(output.parent, f".{output.name}.site-") as folder:
            site = folder / "site"
            build_site(content, site, with_pictures, _say)
            (site / MARK).touch()
            _exchange(output, site, folder / "former")
    except OSError as error:
        raise StorageError(f"--output {output}: {error.strerror or error}; choose another folder") from error


def _exchange(output: Path, site: Path, former: Path) -> None:
    """Move a new site to its place; if that fails, the former one is there again."""
    if output.exists() or output.is_symlink():
        output.rename(former)
    try:
        site.rename(output)  # never into a folder that another process has just made
    except OSError:
        if former.exists() and not output.exists():
            former.rename(output)
        raise


def _say(text: str) -> None:
    print(printable(text, lines=False), file=sys.stderr, flush=True)


def _refuse_other_folder(output: Path) -> None:
    if output.exists() and (not output.is_dir() or (any(output.iterdir()) and not (output / MARK).exists())):
        raise UsageError(
            f"--output {output}: exists and was not written by this command; choose another folder or remove it"
        )
