"""Context-local metrics: nested code records values, an enclosing :func:`collect_metrics` collects them."""

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
    """Record a value; a later one of the same name replaces it."""
    if (figures := _FIGURES.get()) is not None:
        figures[name] = value


def record_min(name: str, value: float) -> None:
    """Record a value of which the smallest is kept, such as a recall."""
    if (figures := _FIGURES.get()) is not None:
        figures[name] = min(value, figures.get(name, value))


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Record the seconds that the block takes as ``<name>_seconds``; those of several blocks add up."""
    started = time.perf_counter()
    try:
        yield
    finally:
        if (figures := _FIGURES.get()) is not None:
            key = f"{name}_seconds"
            figures[key] = figures.get(key, 0.0) + time.perf_counter() - started
