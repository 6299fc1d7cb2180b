"""Numbers as people read them: percent with one decimal, differences with their sign, counts with their noun."""

from __future__ import annotations

import pandas as pd

MISSING = "-"
"""Stands where nothing is known."""


def percent(fraction: float) -> str:
    """Write a fraction as percent."""
    return f"{100 * fraction:.1f}"


def signed(difference: float) -> str:
    """Write a difference of fractions as percent with its sign."""
    return f"{100 * difference:+.1f}"


def deviation(sd: float | None) -> str:
    """Write the standard deviation of fractions as percent; nothing for None."""
    return "" if sd is None else f"± {100 * sd:.1f}"


def over_seeds(values: pd.Series[float] | None) -> tuple[float | None, float | None]:
    """Return mean and sample standard deviation; None for the mean of no value, and for the deviation of one."""
    if values is None or values.isna().all():
        return None, None
    return float(values.mean()), float(values.std()) if len(values) > 1 else None


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, one or many."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
