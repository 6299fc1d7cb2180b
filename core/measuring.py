"""Context-local measurements: nested code records values, and an enclosing :func:`collect_metrics` returns them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FIGURES: ContextVar[dict[str, float] | None] = ContextVar("figures", default=None)


@contextmanager
def collect_metrics() -> Iterator[dict[str, float]]:
    """Collect the values recorded inside the block: ``{name: value}``."""
    figures: dict[str, float] = {}
    token = _FIGURES.set(figures)
    try:
        yield figures
    finally:
        _FIGURES.reset(token)


def record_value(name: str, value: float) -> None:
    """Record a value; it replaces an earlier value of the same name."""
    if (figures := _FIGURES.get()) is not None:
        figures[name] = value


def record_min(name: str, value: float) -> None:
    """Record a value; the smallest value of a name is kept."""
    if (figures := _FIGURES.get()) is not None:
        figures[name] = min(value, figures.get(name, value))


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Add the duration of the block in seconds to ``<name>_seconds``."""
    started = time.perf_counter()
    try:
        yield
    finally:
        if (figures := _FIGURES.get()) is not None:
            key = f"{name}_seconds"
            figures[key] = figures.get(key, 0.0) + time.perf_counter() - started
