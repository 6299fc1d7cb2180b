"""Check of a class from outside the suite: does it have what its base asks for?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def missing_parts(entry: Any, name: str, base: type) -> list[str]:
    """List what a class lacks to be a part: abstract methods, attributes that the base declares without a value.

    Args:
        entry: class to look at.
        name: name that it is to be registered under.
        base: class it has to derive from; its ``missing_parts``, where it has one, adds what is special.
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
