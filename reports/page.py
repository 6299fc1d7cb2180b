"""Content of a report, and its output as Markdown, HTML and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from usvi_bench.core.files import write_text
from usvi_bench.core.formatting import MISSING
from usvi_bench.core.markdown import address, bullets, page, plain
from usvi_bench.core.progress import report_progress
from usvi_bench.core.sealed import write_sealed_json
from usvi_bench.core.table import Cell, Table, Value, to_csv, to_markdown, value_rows
from usvi_bench.reports.checksums import FILES, checksums
from usvi_bench.reports.html_page import write_html
from usvi_bench.reports.output import REPORT, remove_old
from usvi_bench.reports.style import KINDS, WIDTHS, save_figure, stamp

SCHEMA = 1
DIAGNOSIS = "**Diagnosis only**: drawn with true identities; it has no influence on training or scores."


@dataclass(frozen=True, slots=True)
class Picture:
    """Picture in a report: a figure with its texts.

    Attributes:
        name: file name without ending.
        title: a few words.
        caption: Markdown; sufficient to understand the figure.
        alt: text alternative.
        draw: function that draws the figure in a width in inches.
        foot: footer of the figure: number of samples, seeds.
        diagnosis: whether the figure uses true identities of training or test images.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[float], Figure]
    foot: str = ""
    diagnosis: bool = False

    @property
    def files(self) -> list[str]:
        """File names: each width in each format."""
        return [f"{self.name}{end}.{kind}" for end in WIDTHS for kind in KINDS]

    @property
    def full_caption(self) -> str:
        """Caption with the footer and, for a diagnosis, the notice about identities."""
        foot = plain(f"Data: {self.foot}.") if self.foot else ""
        return " ".join(part for part in (self.caption, foot, DIAGNOSIS if self.diagnosis else "") if part)


@dataclass(slots=True)
class Section:
    """Section of a report; with ``csv``, its tables are also written as CSV files."""

    name: str
    title: str
    text: str = ""
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    csv: bool = False


@dataclass(slots=True)
class Report:
    """Report: its complete content. ``docs/reports.md`` describes the JSON file."""

    kind: str
    title: str
    summary: list[str]
    pictures_shown: bool
    pictures_why: str
    facts: dict[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def write(report: Report, folder: Path) -> Path:
    """Write pages, JSON, figures and CSV files, and remove figures of an earlier report that no longer exist.

    Returns:
        Path of ``report.md``.
    """
    pictures = [picture for section in report.sections for picture in section.pictures]
    for number, picture in enumerate(pictures):
        report_progress("drawing figures", number, len(pictures))
        for end, width in WIDTHS.items():
            figure = picture.draw(width)
            if picture.foot:
                stamp(figure, picture.foot)
            save_figure(figure, folder / f"{picture.name}{end}")
    report_progress("drawing figures", len(pictures), len(pictures))
    files = [name for picture in pictures for name in picture.files]
    alone = {file.name for file in folder.glob("*.pdf") if not file.with_suffix(".svg").exists()}  # not of a report
    for kind in KINDS:
        remove_old(folder, f"*.{kind}", {*files, *alone})
    sheets = {f"{table.name}.csv": table for section in report.sections if section.csv for table in section.tables}
    remove_old(folder, "*.csv", sheets)
    for name, table in sheets.items():
        write_text(folder / name, to_csv(table))
    files += [image["picture"] for image in report.images if image["picture"]]
    write_sealed_json(folder / REPORT, {**_json(report), FILES: checksums(folder, files)})
    write_text(folder / "report.md", page(*_blocks(report)))
    links = [(run["label"], run["folder"]) for run in report.runs if run["folder"]]
    write_html(folder, report.title, report.summary, links, [*_sections(report)])
    return folder / "report.md"


def table_json(table: Table) -> dict[str, Any]:
    """Convert a table to JSON, with unformatted numbers."""
    rows = [[_plain(cell) for cell in row.cells] for row in table.rows]
    title = {"id": table.name, "title": table.title}
    head = {"columns": list(table.columns), "words": table.words}
    return {**title, **head, "rows": rounded(rows), "note": " ".join(table.notes)}


def table_from_json(content: Mapping[str, Any]) -> Table:
    """Convert the output of :func:`table_json` to a table."""
    return Table(
        title=content["title"],
        columns=content["columns"],
        rows=value_rows(content["rows"]),
        words=content.get("words", 1),  # missing in reports of older versions
        notes=[content["note"]] if content["note"] else [],
        name=content["id"],
    )


def rounded(values: Any) -> Any:
    """Round nested numbers for JSON: 5 significant digits, None for values that are not finite."""
    if isinstance(values, np.ndarray):
        return rounded(values.tolist())
    if isinstance(values, dict):
        return {key: rounded(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [rounded(value) for value in values]
    if isinstance(values, float | np.floating):
        return float(f"{values:.5g}") if np.isfinite(values) else None
    return values.item() if isinstance(values, np.generic) else values


def _sections(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the sections of the HTML page."""
    for section in report.sections:
        yield {
            "id": section.name,
            "title": section.title,
            "text": section.text,
            "figures": [
                {**_figure(picture), "caption": f"{picture.full_caption} {_links(picture)}"}
                for picture in section.pictures
            ],
            "tables": section.tables,
        }
    if report.notes:
        yield {"id": "notes", "title": "Not shown", "text": bullets(report.notes), "figures": [], "tables": []}


def _figure(picture: Picture) -> dict[str, Any]:
    return {
        "id": picture.name,
        "title": picture.title,
        "caption": picture.full_caption,
        "alt": picture.alt,
        "svg": f"{picture.name}.svg",
        "png": f"{picture.name}.png",
        "files": picture.files,
    }


def _links(picture: Picture) -> str:
    """Return links to the files of a figure, in Markdown."""
    words = (
        f"{'two columns' if end else 'One column'}: "
        + ", ".join(f"[{kind.upper()}]({address(picture.name)}{end}.{kind})" for kind in KINDS)
        for end in WIDTHS
    )
    return f"{'; '.join(words)}."


def _blocks(report: Report) -> Iterable[str]:
    yield f"# {plain(report.title)}"
    yield from report.summary
    if report.runs:
        yield bullets(
            f"[{plain(run['label'])}]({address(run['folder'])}/report.md)" for run in report.runs if run["folder"]
        )
    for section in report.sections:
        yield f"## {plain(section.title)}"
        if section.text:
            yield section.text
        for part in section.tables:
            yield " ".join([f"**{plain(part.title)}.**", *part.notes])
            yield to_markdown(part)
        for picture in section.pictures:
            yield f"### {plain(picture.title)}"
            yield f"![{plain(picture.alt)}]({address(picture.name)}.png)"
            yield f"{picture.full_caption} {_links(picture)}"
    if report.notes:
        yield "## Not shown"
        yield bullets(report.notes)


def _plain(cell: Cell) -> Value:
    if cell.value is not None:
        return cell.value
    return None if cell.text == MISSING else cell.text


def _json(report: Report) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": report.kind,
        "title": report.title,
        "summary": report.summary,
        "notes": report.notes,
        "pictures": {"shown": report.pictures_shown, "why": report.pictures_why},
        "facts": report.facts,
        "runs": rounded(report.runs),
        "sections": [
            {
                "id": section.name,
                "title": section.title,
                "text": section.text,
                "figures": [picture.name for picture in section.pictures],
                "tables": [part.name for part in section.tables],
            }
            for section in report.sections
        ],
        "figures": [_figure(picture) for section in report.sections for picture in section.pictures],
        "tables": [table_json(table) for section in report.sections for table in section.tables],
        "images": report.images,
        "data": rounded(report.data),
    }
