"""Conversion of plain data to annotated types: records from JSON, settings from text."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from usvi_bench.core.errors import did_you_mean, show

_EXPECTED = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a mapping",
}  # fmt: skip


def convert(kind: Any, value: Any, name: str, *, text: bool = False) -> Any:
    """Convert a value to an annotated type.

    Dataclasses refuse unknown fields; typed dictionaries keep them.

    >>> convert(float, "3e-4", "train.lr", text=True)
    0.0003
    >>> convert(tuple[int, ...], "20,40", "train.milestones", text=True)
    (20, 40)

    Args:
        kind: dataclass, typed dictionary, ``list``, ``tuple[T, ...]``, ``dict``, ``Literal``, ``T | None`` or a scalar.
        value: plain data.
        name: dotted name of the value, for messages.
        text: accept text for any scalar (``"0.4"``, ``"true"``, ``"none"``, ``"1,2"``), as on a command line.

    Raises:
        ValueError: a field is missing, unknown, of the wrong type or not finite; names the field.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is Literal:
        return _choice(arguments, value, name)
    if origin in (Union, types.UnionType):  # only "T | None" occurs
        if value is None or (text and str(value).lower() == "none"):
            return None
        return convert(next(a for a in arguments if a is not type(None)), value, name, text=text)
    if is_dataclass(kind) or is_typeddict(kind):
        return _fields(kind, _scalar(dict, value, name, text), name, text)
    if origin is tuple:
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
        parts = (parts,) if isinstance(parts, (int, float)) else parts
        if not isinstance(parts, (list, tuple)):
            raise ValueError(f"{name}={show(value)}: expected a list")
        return tuple(convert(arguments[0], part, name, text=text) for part in parts)
    if origin is list:
        items = _scalar(list, value, name, text)
        return [convert(arguments[0], item, f"{name}[{i}]", text=text) for i, item in enumerate(items)]
    if origin is dict:
        return {
            k: convert(arguments[1], v, f"{name}.{k}", text=text) for k, v in _scalar(dict, value, name, text).items()
        }
    return _scalar(kind, value, name, text)


def describe_kind(kind: Any) -> str:
    """Describe an annotated type of a setting in words.

    >>> describe_kind(tuple[int, ...]), describe_kind(Literal["mean", "hard"]), describe_kind(float | None)
    ('a list of: a whole number', 'one of mean, hard', 'a number, or none')
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (Union, types.UnionType):
        return f"{describe_kind(next(a for a in arguments if a is not type(None)))}, or none"
    if origin in (tuple, list):
        return f"a list of: {describe_kind(arguments[0])}"
    return _EXPECTED.get(kind, "plain data")


def _choice(choices: tuple[Any, ...], value: Any, name: str) -> Any:
    words = {str(choice): choice for choice in choices}
    if str(value) not in words:
        raise ValueError(f"{name}={show(value)}: choose one of {', '.join(words)}")
    return words[str(value)]


def _fields(kind: Any, values: Mapping[str, Any], name: str, text: bool) -> Any:
    hints, optional = _described(kind)
    prefix, closed = f"{name}." if name else "", is_dataclass(kind)
    for field in values:
        if closed and field not in hints:
            raise ValueError(f"{prefix}{field}: unknown field, {did_you_mean(field, hints)}")
    for field in hints:
        if field not in values and field not in optional:
            raise ValueError(f"{prefix}{field}: missing")
    known = {f: convert(hint, values[f], prefix + f, text=text) for f, hint in hints.items() if f in values}
    return kind(**known) if closed else {**values, **known}


@cache
def _described(kind: Any) -> tuple[Mapping[str, Any], frozenset[str]]:
    """Return the types of the fields of a dataclass or typed dictionary, and the names of its optional fields."""
    if not is_dataclass(kind):
        return get_type_hints(kind), frozenset(kind.__optional_keys__)
    optional = (f.name for f in fields(kind) if f.default is not MISSING or f.default_factory is not MISSING)
    return get_type_hints(kind), frozenset(optional)


def _scalar(kind: type, value: Any, name: str, text: bool) -> Any:
    found = _from_text(kind, value) if text and isinstance(value, str) else value
    if kind is float and type(found) is int:
        found = float(found) if abs(found) < 2**1023 else math.inf
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        expected = f"expected {_EXPECTED[kind]}"
        raise ValueError(f"{name}={show(value)}: {expected}" if text else f"{name}: {expected}, found {value!r:.60}")
    if isinstance(found, float) and not math.isfinite(found):
        raise ValueError(
            f"{name}={show(value)}: expected a finite number" if text else f"{name}: {value} is not a finite number"
        )
    return kind(found) if isinstance(found, (bool, int, float, str)) else found  # numpy's floats are of a sub-class


def _from_text(kind: type, value: str) -> Any:
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    if kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            return value
    return value
