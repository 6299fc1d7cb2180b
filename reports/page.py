"""What a report consists of, written as a page for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from usvi_bench.core.files import write_bytes, write_json
from usvi_bench.leaderboard.markdown import MISSING, page, table
from usvi_bench.reports.style import save_figure, stamp

SCHEMA = 1
DIAGNOSIS = "**Diagnosis only**: drawn with true identities; it has no influence on training or scores."

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the report.

    Attributes:
        name: of its files.
        title: a few words.
        caption: markdown that makes the figure understandable on its own.
        alt: what it shows, in plain words, for those who cannot see it.
        foot: n and seeds, printed inside the figure.
        diagnosis: whether true identities of training images or of test images were used to draw it.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    foot: str = ""
    diagnosis: bool = False

    @property
    def full_caption(self) -> str:
        """The caption, what it was made from, and the mark of a diagnosis."""
        foot = f"{self.foot[:1].upper()}{self.foot[1:]}." if self.foot else ""
        return " ".join(part for part in (self.caption, foot, DIAGNOSIS if self.diagnosis else "") if part)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text and numbers; the note says units and what is averaged."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    digits: int = 1


@dataclass(slots=True)
class Section:
    """A chapter of a report."""

    name: str
    title: str
    text: str = ""
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """All that is written; see ``docs/reports.md`` for the JSON."""

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
    """Write page, JSON and figures; figures of an earlier report that are no longer drawn go.

    Returns:
        Path of ``report.md``.
    """
    pictures = [picture for section in report.sections for picture in section.pictures]
    for picture in pictures:
        if picture.foot:
            stamp(picture.figure, picture.foot)
        save_figure(picture.figure, folder / picture.name)
    write_json(folder / "report.json", _json(report))
    text = page(*_blocks(report))
    write_bytes(folder / "report.md", text.encode())
    drawn = {picture.name for picture in pictures}
    for old in [*folder.glob("*.png"), *folder.glob("*.svg")]:
        if old.stem not in drawn:
            old.unlink()
    return folder / "report.md"


def rounded(values: Any) -> Any:
    """Numbers of any nesting as JSON takes them: 5 significant digits, None where one is not finite."""
    if isinstance(values, np.ndarray):
        return rounded(values.tolist())
    if isinstance(values, dict):
        return {key: rounded(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [rounded(value) for value in values]
    if isinstance(values, float | np.floating):
        return float(f"{values:.5g}") if np.isfinite(values) else None
    return values.item() if isinstance(values, np.generic) else values


def _blocks(report: Report) -> Iterable[str]:
    yield f"# {report.title}"
    yield from report.summary
    if report.runs:
        yield "\n".join(f"* [{run['label']}]({run['folder']}/report.md)" for run in report.runs if run["folder"])
    for section in report.sections:
        yield f"## {section.title}"
        if section.text:
            yield section.text
        for part in section.tables:
            cells = [[_cell(value, part.digits) for value in row] for row in part.rows]
            yield f"**{part.title}.** {part.note}".strip()
            yield table(list(part.columns), cells)
        for picture in section.pictures:
            yield f"### {picture.title}"
            yield f"![{picture.alt}]({picture.name}.png)"
            yield picture.full_caption
    if report.notes:
        yield "## Not shown"
        yield "\n".join(f"* {note}" for note in report.notes)


def _cell(value: Cell, digits: int) -> str:
    if value is None:
        return MISSING
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


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
        "figures": [
            {
                "id": picture.name,
                "title": picture.title,
                "caption": picture.full_caption,
                "alt": picture.alt,
                "svg": f"{picture.name}.svg",
                "png": f"{picture.name}.png",
            }
            for section in report.sections
            for picture in section.pictures
        ],
        "tables": [
            {
                "id": part.name,
                "title": part.title,
                "columns": list(part.columns),
                "rows": rounded([list(row) for row in part.rows]),
                "note": part.note,
            }
            for section in report.sections
            for part in section.tables
        ],
        "images": report.images,
        "data": rounded(report.data),
    }
