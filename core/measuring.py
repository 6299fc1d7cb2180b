"""Figures that code deep down reports to whoever asked for them, without an object handed through every call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FIGURES: ContextVar[dict[str, float] | None] = ContextVar("figures", default=None)


@contextmanager
def collect_metrics() -> Iterator[dict[str, float]]:
    """Collect what is reported inside the block: ``{name: value}``, filled as it happens."""
    figures: dict[str, float] = {}
    token = _FIGURES.set(figures)
    try:
        yield figures
    finally:
        _FIGURES.reset(token)


def record_value(name: str, value: float) -> None:
    """Report a figure; a later one of the same name takes its place."""
    if (figures := _FIGURES.get()) is not None:
        figures[name] = value


def record_min(name: str, value: float) -> None:
    """Report a figure of which the smallest counts, as of a recall."""
    if (figures := _FIGURES.get()) is not None:
        figures[name] = min(value, figures.get(name, value))


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Report the seconds that the block takes as ``<name>_seconds``; those of several blocks add up."""
    started = time.perf_counter()
    try:
        yield
    finally:
        if (figures := _FIGURES.get()) is not None:
            key = f"{name}_seconds"
            figures[key] = figures.get(key, 0.0) + time.perf_counter() - started
