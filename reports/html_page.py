"""HTML page of a report, which a browser opens from disk: the content of ``report.md`` in the style of the site."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from usvi_bench.core.files import write_bytes, write_text
from usvi_bench.core.markdown import address
from usvi_bench.reports.output import remove_link
from usvi_bench.reports.site.render import render

PAGE = "report.html"
ASSETS = ("style.css", "icon.svg", "sort.js", "zoom.js")


def write_html(
    folder: Path, title: str, summary: Sequence[str], links: Sequence[tuple[str, str]], sections: Sequence[Any]
) -> None:
    """Write the page and its style and scripts; figures are files of the folder.

    Args:
        folder: folder of the report.
        title: title of the page.
        summary: paragraphs in Markdown.
        links: label and folder of the report of each run, for a comparison.
        sections: sections with figures, as in ``reports/site/templates/sections.html``.
    """
    static = files("usvi_bench.reports.site").joinpath("static")
    remove_link(folder / "assets")
    for name in ASSETS:
        write_bytes(folder / "assets" / name, static.joinpath(name).read_bytes())
    runs = [(label, f"{address(place)}/{PAGE}") for label, place in links]
    write_text(folder / PAGE, render("report.html", PAGE, title=title, summary=summary, runs=runs, sections=sections))
