"""``python -m leaderboard``: rebuild the pages from records and published figures, or check them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.files import write_bytes
from usvi_bench.core.revision import ROOT, is_installed
from usvi_bench.leaderboard.board import board_sections
from usvi_bench.leaderboard.build import FOLDER, REPORTS, build, find_reports, load_records, refuse_inconsistent
from usvi_bench.leaderboard.field import PLOT, build_field
from usvi_bench.leaderboard.field_plot import digest_in, draw_field, figure_digest
from usvi_bench.leaderboard.published import Published, choose, read_figures
from usvi_bench.leaderboard.record_pages import build_knobs, build_records
from usvi_bench.leaderboard.score_table import score_tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 where a page is stale, or 2 where a record, a published figure or a path is wrong."""
    parser = argparse.ArgumentParser(prog="python -m leaderboard", description=__doc__)
    parser.add_argument("--records", type=Path, default=FOLDER / "records", help="folder of records")
    parser.add_argument("--published", type=Path, default=FOLDER / "published.csv", help="figures of others")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the pages")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    options = parser.parse_args(arguments)
    try:
        if not options.check:
            _refuse_installed(options.output)
        figures = choose(read_figures(options.published))
        pages = make_pages(options.records, figures, options.output / REPORTS)
        stale = [name for name, text in pages.items() if _read(options.output / name) != text.encode()]
        if digest_in(_read(options.output / PLOT) or b"") != figure_digest(figures):  # its bytes depend on matplotlib
            stale.append(PLOT)
        if stale and options.check:
            print(f"{options.output}: {', '.join(stale)} out of date: run python -m leaderboard", file=sys.stderr)
            return 1
        for name in stale:
            write_bytes(options.output / name, draw_field(figures) if name == PLOT else pages[name].encode())
    except (UsageError, StorageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def make_pages(records: Path, figures: Sequence[Published], reports: Path) -> dict[str, str]:
    """Make all pages by name.

    Raises:
        UsageError: a path or a record is wrong.
    """
    if not records.is_dir():
        raise UsageError(f"--records {records}: no such folder")
    found = load_records(records)
    refuse_inconsistent(found)
    having = find_reports(reports, found)
    sections = board_sections(score_tables(found), figures)
    return {
        "LEADERBOARD.md": build(found, figures, having),
        "KNOBS.md": build_knobs(sections, having),
        "PUBLISHED.md": build_field(figures, [section.order for section in sections if section.order]),
        "RECORDS.md": build_records(found),
    }


def _refuse_installed(output: Path) -> None:
    if is_installed() and output.resolve().is_relative_to(ROOT):
        raise UsageError(
            f"{output}: the pages of an installed package stay as they are; run the command in a checkout of the "
            "project, or name other folders with --records and --output"
        )


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
