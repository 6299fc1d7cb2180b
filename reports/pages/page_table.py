"""Specification of a generated documentation table, and formatting of its cells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from usvi_bench.core.formatting import MISSING
from usvi_bench.core.table import Table, to_markdown, value_rows
from usvi_bench.reports.pages.sources import Seeds, Sources

BY_SEED = "by seed"
"""Heading of columns with one figure per seed."""


@dataclass(frozen=True)
class PageTable:
    """Page table: a documentation table with its name in the marks, its header and a function that makes its rows.

    Attributes:
        rows: function that makes the rows; raises :class:`~usvi_bench.core.errors.UsageError` if a figure is missing.
        left: headings of left-aligned columns; the first column is always left-aligned.
    """

    name: str
    columns: Sequence[str]
    rows: Callable[[Sources], Iterable[Sequence[str]]]
    left: Collection[str] = (BY_SEED,)

    def markdown(self, sources: Sources) -> str:
        """Render the table as Markdown."""
        return to_markdown(Table(self.name, self.columns, value_rows([*self.rows(sources)]), left=self.left))


def format_mean_sd(values: Seeds, sign: bool = False) -> str:
    """Format mean ± sample standard deviation over seeds; only the mean for one seed, a dash for none."""
    if values.empty:
        return MISSING
    mean = _number(float(values.mean()), sign)
    return f"{mean} ± {values.std():.1f}" if len(values) > 1 else mean


def format_each(values: Seeds) -> str:
    """Format the value of each seed; a dash for none."""
    return ", ".join(_number(value) for value in values.sort_index()) or MISSING


def format_p(value: float) -> str:
    """Format a p value with three decimals; smaller ones as ``< 0.001``."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def quoted(name: str) -> str:
    """Format a registered name as code."""
    return f"`{name}`"


def _number(value: float, sign: bool = False) -> str:
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return "0.0" if float(text) == 0 else text
