"""Markdown whose bytes depend on nothing but its input."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

MISSING = "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A pipe table; the first ``words`` columns are left-aligned, the others right-aligned."""
    rule = [":--" if i < words else "--:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in [header, rule, *rows])


def percent(mean: float, sd: float | None = None) -> str:
    """A fraction as percent with one decimal, with its spread where there is one."""
    return f"{100 * mean:.1f}" if sd is None else f"{100 * mean:.1f} ± {100 * sd:.1f}"


def signed(mean: float, sd: float | None = None) -> str:
    """A difference of fractions as percent with its sign, with its spread where there is one."""
    return f"{100 * mean:+.1f}" + ("" if sd is None else f" ± {100 * sd:.1f}")


def spread(values: pd.Series[float] | None) -> str:
    """Mean and sample standard deviation of fractions, in percent; :data:`MISSING` where nothing is known."""
    if values is None or values.isna().all():
        return MISSING
    return percent(values.mean(), values.std() if len(values) > 1 else None)


def counted(number: int, noun: str) -> str:
    """A number with its noun, one or many."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def page(*blocks: str) -> str:
    """Blocks one blank line apart; empty ones are left out."""
    return "\n\n".join(block for block in blocks if block) + "\n"


def fill_block(content: str, block: str, begin: str, end: str) -> str:
    """Replace what stands between two marks of a page."""
    before, _, rest = content.partition(begin)
    return f"{before}{begin}\n\n{block}\n\n{end}{rest.partition(end)[2]}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
