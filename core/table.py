"""Tables, and their text formats Markdown, LaTeX and CSV; ``reports/site/templates/table.html`` renders HTML."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from usvi_bench.core import markdown
from usvi_bench.core.errors import printable
from usvi_bench.core.formatting import MISSING, deviation, percent, signed


class Link(NamedTuple):
    """Link to the page of a run or a method; each format resolves it to an address.

    Attributes:
        text: text of the link.
        kind: ``run`` or ``method``.
        name: name of the run or method.
        label: text for screen readers, if ``text`` is too short to be clear.
    """

    text: str
    kind: str
    name: str
    label: str = ""


Address = Callable[[Link], str]
"""Function that returns the address of a link in one format; without an address only the text is shown."""
Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """Cell of a table.

    Attributes:
        content: text, in which backticks enclose code, and links.
        value: the number that the text shows, for sorting and CSV; None for text.
        spread: formatted standard deviation.
        tag: remark at the end, such as a footnote mark.
        drawing: SVG that HTML shows in place of the text.
        bold: whether text and spread are bold.
    """

    content: str | Sequence[str | Link] = ""
    value: float | None = None
    spread: str = ""
    tag: str = ""
    drawing: str = ""
    bold: bool = False

    @property
    def parts(self) -> Sequence[str | Link]:
        """Texts and links in order."""
        return (self.content,) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """Text of the cell without link addresses."""
        words = "".join(part if isinstance(part, str) else part.text for part in self.parts)
        return " ".join(part for part in (words, self.spread, self.tag) if part)


@dataclass(frozen=True, slots=True)
class TableRow:
    """Row of a table.

    Attributes:
        cells: one cell for each column.
        quiet: whether the row is a reference that is not ranked; HTML shows it in grey.
        remark: reason for ``quiet``; only HTML shows it.
    """

    cells: Sequence[Cell]
    quiet: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Table with title, notes and footnotes.

    Attributes:
        title: short title.
        columns: headings.
        words: number of leading columns that hold text and are left-aligned; the others hold numbers.
        left: headings of further left-aligned columns.
        notes: sentences below the table in Markdown, such as units and the averaged trials.
        footnotes: sentences below the table, numbered from 1; cells refer to them by a tag such as ``[1]``.
        name: identifier that is unique on a page.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[TableRow]
    words: int = 1
    left: Collection[str] = ()
    notes: Sequence[str] = ()
    footnotes: Sequence[str] = ()
    name: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"{self.title}: {len(row.cells)} cells in a row of {len(self.columns)} columns")

    def is_left(self, column: int) -> bool:
        """Return whether a column, counted from 0, is left-aligned."""
        return column < self.words or self.columns[column] in self.left


def value_cell(value: Value, digits: int = 1) -> Cell:
    """Make a cell of text, an integer, or a float with ``digits`` decimals; a dash for None."""
    if value is None or isinstance(value, str):
        return Cell(MISSING if value is None else value)
    return Cell(f"{value:.{digits}f}" if isinstance(value, float) else str(value), value)


def percent_cell(mean: float | None, sd: float | None = None, *, bold: bool = False) -> Cell:
    """Make a cell that shows a fraction as percent; a dash for None."""
    return Cell(MISSING) if mean is None else Cell(percent(mean), mean, deviation(sd), bold=bold)


def gain_cell(mean: float | None, sd: float | None = None) -> Cell:
    """Make a cell that shows a difference of fractions as percent with a sign; a dash for None."""
    return Cell(MISSING) if mean is None else Cell(signed(mean), mean, deviation(sd))


def value_rows(rows: Sequence[Sequence[Value]], digits: int = 1) -> list[TableRow]:
    """Make rows of plain values, see :func:`value_cell`."""
    return [TableRow([value_cell(value, digits) for value in row]) for row in rows]


def no_address(_: Link) -> str:
    """Return no address, so that links are shown as text."""
    return ""


def to_markdown(table: Table, address: Address = no_address) -> str:
    """Render columns and rows as a pipe table, without title and notes; words are shown as they are."""
    rule = [":--" if table.is_left(i) else "--:" for i in range(len(table.columns))]
    cells = [[_markdown_cell(cell, address) for cell in row.cells] for row in table.rows]
    lines = [[markdown.words(column) for column in table.columns], rule, *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Value]], words: int = 1) -> str:
    """Render plain values as a pipe table, see :func:`to_markdown`."""
    return to_markdown(Table("", columns, value_rows(rows), words))


def to_text(table: Table) -> str:
    """Render columns and rows in aligned columns for a terminal; control characters are escaped."""
    lines = [list(table.columns), *([printable(cell.text) for cell in row.cells] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [str.ljust if table.is_left(i) else str.rjust for i in range(len(widths))]
    parts = [[side(text, width) for side, text, width in zip(sides, line, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in parts)


def to_latex(table: Table, comment: str, groups: Sequence[tuple[str, int]] = ()) -> str:
    """Render the table with booktabs.

    Args:
        table: table to render; its title and notes are ignored.
        comment: comment in the first line.
        groups: headings over the last columns, from left to right, each with its number of columns.
    """
    first = len(table.columns) - sum(width for _, width in groups)
    sides = "".join("l" if table.is_left(i) else "r" for i in range(len(table.columns)))
    lines = ["% " + " ".join(comment.split()), rf"\begin{{tabular}}{{{sides}}}", r"\toprule"]
    if groups:
        heads = [rf"\multicolumn{{{width}}}{{c}}{{{_latex_text(text)}}}" for text, width in groups]
        starts = [first + 1 + sum(width for _, width in groups[:i]) for i in range(len(groups))]
        spans = zip(starts, groups, strict=True)
        lines.append(" & " * first + " & ".join(heads) + r" \\")
        lines.append(" ".join(rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for start, (_, width) in spans))
    lines += [" & ".join(map(_latex_text, table.columns)) + r" \\", r"\midrule"]
    lines += [" & ".join(map(_latex_cell, row.cells)) + r" \\" for row in table.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def to_csv(table: Table) -> str:
    """Render columns and rows as CSV, with numbers in full precision and empty fields for missing values.

    Spreadsheets take text that begins with one of ``=+-@``, a tab or a carriage return as a formula. Such text gets a
    leading apostrophe; numbers do not.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(csv_text, table.columns))
    writer.writerows([_csv_field(cell) for cell in row.cells] for row in table.rows)
    return file.getvalue()


def _markdown_cell(cell: Cell, address: Address) -> str:
    parts = (markdown.words(p) if isinstance(p, str) else _markdown_link(p, address) for p in cell.parts)
    words = "".join(parts)
    words = " ".join(part for part in (words, cell.spread) if part)
    words = f"**{words}**" if cell.bold and words else words
    return f"{words} {cell.tag}".strip()


def _markdown_link(link: Link, address: Address) -> str:
    text = markdown.words(link.text)
    return f"[{text}]({markdown.address(target)})" if (target := address(link)) else text


_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "Δ": r"$\Delta$",
        "†": r"$\dagger$",
        "[": "{[}",  # at the start of a row it would be an argument of the row end before it, and so would a star
        "*": "{*}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def _latex_text(text: str) -> str:
    return markdown.visible(" ".join(text.split())).translate(_LATEX)


def _latex_cell(cell: Cell) -> str:
    text = _latex_text(cell.text)
    text = f"$-${text[1:]}" if cell.value is not None and text.startswith("-") else text
    return rf"\textbf{{{text}}}" if cell.bold else text


def csv_text(text: str) -> str:
    """Mark text that a spreadsheet would take as a formula; see :func:`to_csv`."""
    marked = f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    return marked.replace("\r\n", "\n").replace("\r", "\n")  # the writer quotes only the latter


def _csv_field(cell: Cell) -> str | float:
    if cell.value is None:
        return "" if cell.text == MISSING else csv_text(cell.text)
    return "" if math.isnan(cell.value) else cell.value
