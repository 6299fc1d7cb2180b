"""A generated table of a page, and how its cells show figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from usvi_bench.core.formatting import MISSING
from usvi_bench.core.table import Table, to_markdown, value_rows
from usvi_bench.reports.pages.sources import Seeds, Sources

BY_SEED = "by seed"
"""Title of columns that list figures."""


@dataclass(frozen=True)
class PageTable:
    """Page table: the name that its marks have, and how its header and rows are made.

    Attributes:
        rows: makes the cells below the header; raises :class:`~usvi_bench.core.errors.UsageError` where a figure is not
            there.
        left: titles of the columns that are left-aligned, beside the first.
    """

    name: str
    columns: Sequence[str]
    rows: Callable[[Sources], Iterable[Sequence[str]]]
    left: Collection[str] = (BY_SEED,)

    def markdown(self, sources: Sources) -> str:
        """Make the whole table."""
        return to_markdown(Table(self.name, self.columns, value_rows([*self.rows(sources)]), left=self.left))


def format_mean_sd(values: Seeds, sign: bool = False) -> str:
    """Format the mean with the sample standard deviation over seeds, if there are several; a dash without any."""
    if values.empty:
        return MISSING
    mean = _number(float(values.mean()), sign)
    return f"{mean} ± {values.std():.1f}" if len(values) > 1 else mean


def format_each(values: Seeds) -> str:
    """Format the values seed by seed; a dash without any."""
    return ", ".join(_number(value) for value in values.sort_index()) or MISSING


def quoted(name: str) -> str:
    """Set a registered name as code."""
    return f"`{name}`"


def _number(value: float, sign: bool = False) -> str:
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return "0.0" if float(text) == 0 else text
