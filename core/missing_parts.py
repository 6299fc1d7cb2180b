"""Check that a class from outside the suite has all parts that its base requires."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def missing_parts(entry: Any, name: str, base: type) -> list[str]:
    """List what a class lacks: abstract methods, and attributes that the base declares without a value.

    Args:
        entry: class to check.
        name: name under which it is registered.
        base: class that it must derive from; a class method ``missing_parts`` of the base can list more.
    """
    if not (isinstance(entry, type) and issubclass(entry, base)):
        return [f"it must be a class that derives from {base.__module__}.{base.__qualname__}"]
    lacks = [f"no method '{method}'" for method in sorted(getattr(entry, "__abstractmethods__", ()))]
    for cls in reversed(base.__mro__):
        for attribute, kind in inspect.get_annotations(cls).items():
            if "ClassVar" in str(kind) and not hasattr(entry, attribute):
                lacks.append(f"no attribute '{attribute}'")
            elif attribute == "name" and entry.name != name:  # type: ignore[attr-defined]
                lacks.append(f"its attribute 'name' is '{entry.name}'")  # type: ignore[attr-defined]
    special: Callable[[], list[str]] | None = getattr(entry, "missing_parts", None)
    return lacks + (special() if special else [])
