"""Command ``python -m reports.pages``: check or write the generated parts of README, CONTRIBUTING and findings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.files import write_bytes
from usvi_bench.core.revision import ROOT
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.leaderboard.published_plot import digest_in
from usvi_bench.reports.pages.fill import fill_page
from usvi_bench.reports.pages.score_plot import THEMES, draw_scores, plotted_scores, scores_digest
from usvi_bench.reports.pages.sources import Sources
from usvi_bench.reports.pages.specs import BY_NAME

PAGES = (
    *("README.md", "CONTRIBUTING.md", "docs/findings.md"),
    *(f"docs/findings/{name}.md" for name in ("labels", "limits", "methods", "parts", "people", "sclhm")),
)
FIGURES = "docs"
"""Folder of the README's figure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the generated parts, or list the files that are out of date.

    Returns:
        0 on success, 1 if a file is out of date, 2 if a page or a value is invalid.
    """
    parser = argparse.ArgumentParser(prog="python -m reports.pages", description=__doc__)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="pages, such as CONTRIBUTING.md (default: all)")
    parser.add_argument("--write", action="store_true", help="write the tables and the figure")
    options = parser.parse_args(arguments)
    sources, stale = Sources(FOLDER), {}
    if unknown := set(options.pages) - set(PAGES):
        print(f"error: {min(unknown)} has no generated parts: {did_you_mean(min(unknown), PAGES)}", file=sys.stderr)
        return 2
    for name in options.pages or PAGES:
        page = (ROOT / name).read_text(encoding="utf-8")
        try:
            filled = fill_page(page, BY_NAME, sources)
        except UsageError as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            return 2
        if filled != page:
            stale[name] = filled.encode()
    stale |= {} if options.pages else _stale_figures(sources)
    for name, content in stale.items():
        if options.write:
            write_bytes(ROOT / name, content)
        else:
            print(f"{name}: out of date: run python -m reports.pages --write", file=sys.stderr)
    return int(bool(stale) and not options.write)


def _stale_figures(sources: Sources) -> dict[str, bytes]:
    """Draw the figures whose data have changed. Digests are compared because bytes vary with matplotlib."""
    scores = plotted_scores(sources)
    digest = scores_digest(scores)
    files = {f"{FIGURES}/{name}": theme for name, theme in THEMES.items()}
    kept = {name: (ROOT / name).read_bytes() if (ROOT / name).exists() else b"" for name in files}
    return {name: draw_scores(scores, files[name]) for name, content in kept.items() if digest_in(content) != digest}


if __name__ == "__main__":
    sys.exit(main())
