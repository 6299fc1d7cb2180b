"""Bounds of settings: each numeric field of a settings class declares its smallest and largest value.

The largest values are far above useful ones. They refuse typing errors and sizes that fit no memory, before any work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from usvi_bench.core.errors import UsageError

TINY = 1e-6
"""Smallest value of settings that must be positive."""
WEIGHT, EPOCHS, COUNT = 1000.0, 100_000, 10_000
"""Largest weight of a loss, largest number of epochs, and largest number of neighbours or images."""


@dataclass(frozen=True)
class Bounds:
    """Bounds of a number, both included; ``above`` excludes the lower one."""

    low: float
    high: float
    above: bool = False

    def hold(self, value: float) -> bool:
        """Return whether a number is within the bounds."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low, high = (f"{value:,.0f}" if abs(value) >= COUNT else f"{value:g}" for value in (self.low, self.high))
        return f"above {low} and at most {high}" if self.above else f"from {low} to {high}"


def bounded(default: Any, low: float, high: float, *, above: bool = False) -> Any:
    """Declare a field of a settings class with its bounds.

    >>> @dataclass(frozen=True)
    ... class Config:
    ...     eps: float = bounded(0.5, 0, 1)
    >>> Config().eps
    0.5
    """
    return field(default=default, metadata={"bounds": Bounds(low, high, above)})


def one_of(choices: Collection[Any] | Callable[[], Collection[Any]], default: Any = MISSING) -> Any:
    """Declare a field of a settings class with the values that its class accepts, or a function that lists them.

    >>> @dataclass(frozen=True)
    ... class Config:
    ...     shots: int = one_of((1, 10), default=1)
    >>> choices_of(Config, "shots")
    (1, 10)
    """
    return field(default=default, metadata={"choices": choices})


def bounds_of(kind: type, name: str) -> Bounds | None:
    """Return the bounds of a field, which a derived class inherits; None if there are none."""
    found: Bounds | None = _declared(kind, name, "bounds")
    return found


def choices_of(kind: type, name: str) -> Collection[Any]:
    """Return the values that :func:`one_of` declares for a field; empty if there are none."""
    found = _declared(kind, name, "choices") or ()
    return tuple(found() if callable(found) else found)


def _declared(kind: type, name: str, key: str) -> Any:
    for cls in kind.__mro__:
        fields_of: dict[str, Field[Any]] = vars(cls).get("__dataclass_fields__", {})
        if name in fields_of and key in fields_of[name].metadata:
            return fields_of[name].metadata[key]
    return None


def check_bounds(config: Any, section: str) -> None:
    """Check every number of a settings class; a number without declared bounds must be finite and fit 64 bits.

    Args:
        config: instance of a dataclass.
        section: its name on the command line.

    Raises:
        UsageError: a number is out of bounds; the message has its name, its value and the bounds.
    """
    for item in fields(config):
        value = getattr(config, item.name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        bounds = bounds_of(type(config), item.name)
        name = f"{section}.{item.name}" if section else item.name
        if bounds is not None and not bounds.hold(value):
            raise UsageError(f"{name}={_short(value)} must be {bounds}")
        if bounds is None and not (math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63):
            raise UsageError(f"{name}={_short(value)} is not a finite number of at most 64 bits")


def _short(value: float) -> str:
    return str(value) if isinstance(value, float) or abs(value) < 10**15 else f"about 1e{math.log10(abs(value)):.0f}"
