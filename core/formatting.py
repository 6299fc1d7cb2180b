"""Formatting of numbers: percent with one decimal, differences with a sign, counts with a noun."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MISSING = "-"
"""Text of a missing value."""


def percent(fraction: float) -> str:
    """Format a fraction as percent.

    >>> percent(0.4512)
    '45.1'
    """
    return f"{100 * fraction:.1f}"


def signed(difference: float) -> str:
    """Format a difference of fractions as percent with a sign.

    >>> signed(0.0123)
    '+1.2'
    """
    return f"{100 * difference:+.1f}"


def deviation(sd: float | None) -> str:
    """Format a standard deviation of fractions as percent; empty for None."""
    return "" if sd is None else f"± {100 * sd:.1f}"


def over_seeds(values: pd.Series[float] | None) -> tuple[float | None, float | None]:
    """Return mean and sample standard deviation; a mean needs one value, a deviation two, else they are None."""
    if values is None or values.isna().all():
        return None, None
    return float(values.mean()), float(values.std()) if len(values) > 1 else None


def counted(number: int, noun: str) -> str:
    """Format a number with its noun in the singular or plural.

    >>> counted(2, "seed")
    '2 seeds'
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def person_name(identity: int) -> int | str:
    """Return the number of a person, and ``unknown`` for a negative one, as own images have.

    >>> person_name(7), person_name(-1)
    (7, 'unknown')
    """
    return identity if identity >= 0 else "unknown"


def file_name(text: str) -> str:
    """Make a file name or an identifier from words that may come from a record: letters, digits and ``_.+=-`` only.

    >>> file_name("sysu_all"), file_name("../../my protocol")
    ('sysu_all', 'my-protocol')
    """
    return re.sub(r"[^\w.+=-]+", "-", text, flags=re.ASCII).strip(".-")[:100] or "unnamed"
