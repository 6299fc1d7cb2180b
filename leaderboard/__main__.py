"""Command ``python -m leaderboard``: write the generated pages, or check that they are up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import StorageError, UsageError, describe_os_error, printable
from usvi_bench.core.files import write_bytes
from usvi_bench.core.revision import ROOT, is_installed
from usvi_bench.leaderboard.add import add_runs
from usvi_bench.leaderboard.board import board_sections
from usvi_bench.leaderboard.build import FOLDER, REPORTS, build, find_reports, load_every_record, refuse_inconsistent
from usvi_bench.leaderboard.published import Published, choose, read_figures
from usvi_bench.leaderboard.published_page import PLOT, build_published
from usvi_bench.leaderboard.published_plot import digest_in, draw_published, figure_digest
from usvi_bench.leaderboard.record_pages import build_knobs, build_records
from usvi_bench.leaderboard.repeats import read_repeats, repeated, waiting
from usvi_bench.leaderboard.score_table import score_tables

NEXT = "next: make leaderboard, which also rebuilds the tables of README and docs/findings; then commit all changes"
WAITS = "a record from outside waits for a repeat by a maintainer before it is ranked, see CONTRIBUTING.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the pages.

    Returns:
        0 on success, 1 if ``--check`` finds an outdated page, 2 if a record, a published figure or a path is invalid.
    """
    parser = argparse.ArgumentParser(prog="python -m leaderboard", description=__doc__)
    parser.add_argument("--records", type=Path, default=FOLDER / "records", help="folder of records")
    parser.add_argument("--published", type=Path, default=FOLDER / "published.csv", help="published figures (CSV)")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder for the pages")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    parser.add_argument(
        "--add", type=Path, nargs="+", default=[], metavar="RUN", help="first copy the records of these finished runs"
    )
    parser.add_argument("--outside", action="store_true", help="with --add: the runs are of somebody else")
    options = parser.parse_args(arguments)
    try:
        if options.check and options.add:
            raise UsageError("--check writes nothing; leave out --add")
        if options.add:
            _refuse_installed(options.records)
            print(*add_runs(options.add, options.records, options.outside), sep="\n")
        if not options.check:
            _refuse_installed(options.output)
        figures = choose(read_figures(options.published))
        pages = make_pages(options.records, figures, options.output / REPORTS)
        stale = [name for name, text in pages.items() if _read(options.output / name) != text.encode()]
        if digest_in(_read(options.output / PLOT) or b"") != figure_digest(figures):  # its bytes vary with matplotlib
            stale.append(PLOT)
        if stale and options.check:
            print(f"{options.output}: {', '.join(stale)} out of date: run python -m leaderboard", file=sys.stderr)
            return 1
        for name in stale:
            write_bytes(options.output / name, draw_published(figures) if name == PLOT else pages[name].encode())
            if options.add:
                print(options.output / name)
        if options.add:
            print(NEXT, *([WAITS] if options.outside else []), sep="\n")
    except (UsageError, StorageError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {printable(describe_os_error(error))}", file=sys.stderr)
        return 2
    return 0


def make_pages(records: Path, figures: Sequence[Published], reports: Path) -> dict[str, str]:
    """Generate all pages, by file name.

    Raises:
        UsageError: a path or a record is invalid.
    """
    if not records.is_dir():
        raise UsageError(f"--records {records}: no such folder; give the folder of the records, leaderboard/records")
    every = load_every_record(records)
    refuse_inconsistent(every, records)
    notes = read_repeats(records, every)
    known = repeated(every, notes)
    waits = {name: every[name] for name in waiting(every, known)}
    found = {name: record for name, record in every.items() if name not in waits}
    having = find_reports(reports, found)
    sections = board_sections(score_tables(found, known), figures)
    return {
        "LEADERBOARD.md": build(found, figures, having, known, waits),
        "KNOBS.md": build_knobs(sections, having),
        "PUBLISHED.md": build_published(figures, [section.order for section in sections if section.order]),
        "RECORDS.md": build_records(every, notes),
    }


def _refuse_installed(output: Path) -> None:
    if is_installed() and output.resolve().is_relative_to(ROOT):
        raise UsageError(
            f"{output}: the pages of an installed package cannot be changed; run the command in a checkout of the "
            "project, or give other folders with --records and --output"
        )


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
