"""Check that a class from outside the suite has all parts that its base requires."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from usvi_bench.core.typed import convert

_CHECKED = (str, int, bool, float)


def missing_parts(entry: Any, name: str, base: type) -> list[str]:
    """List what a class lacks: abstract methods, and class attributes of the declared types.

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
            elif "ClassVar" in str(kind):
                lacks += _wrong_value(cls, attribute, getattr(entry, attribute))
    special: Callable[[], list[str]] | None = getattr(entry, "missing_parts", None)
    return lacks + (special() if special else [])


def _wrong_value(cls: type, attribute: str, value: Any) -> list[str]:
    """Describe a class attribute whose value does not have the declared type; only plain types are checked."""
    (kind,) = get_args(get_type_hints(cls)[attribute])
    if kind not in _CHECKED and get_origin(kind) not in (Literal, tuple):
        return []
    try:
        convert(kind, value, f"its attribute '{attribute}'")
    except ValueError as error:
        return [str(error)]
    if isinstance(value, str) and not value.isprintable():
        return [f"its attribute '{attribute}' is not one line: {value!r:.60}"]
    return []
