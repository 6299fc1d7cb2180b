"""``python -m reports.pages [--write]``: check the generated tables of README, CONTRIBUTING and docs/findings.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_text
from usvi_bench.core.revision import ROOT
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.reports.pages.fill import fill_page
from usvi_bench.reports.pages.sources import Sources
from usvi_bench.reports.pages.specs import BY_NAME

PAGES = ("README.md", "CONTRIBUTING.md", "docs/findings.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the pages in, or name those that are out of date.

    Returns:
        1 where a page is out of date, 2 where a page or a figure is wrong, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m reports.pages", description=__doc__)
    parser.add_argument("--write", action="store_true", help="fill the tables in")
    options = parser.parse_args(arguments)
    sources, stale = Sources(FOLDER), {}
    for name in PAGES:
        page = (ROOT / name).read_text(encoding="utf-8")
        try:
            filled = fill_page(page, BY_NAME, sources)
        except UsageError as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            return 2
        if filled != page:
            stale[name] = filled
    for name, filled in stale.items():
        if options.write:
            write_text(ROOT / name, filled)
        else:
            print(f"{name}: out of date: run python -m reports.pages --write", file=sys.stderr)
    return int(bool(stale) and not options.write)


if __name__ == "__main__":
    sys.exit(main())
