"""Description of a method's settings and forms: what ``paper`` changes, and what ``released`` computes differently."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import command
from usvi_bench.core.registry import METHODS
from usvi_bench.core.settings import SHARED, flatten
from usvi_bench.core.table import Table, to_markdown, value_rows
from usvi_bench.engine.list_settings import find_profile, value_text
from usvi_bench.engine.load_config import load_config, methods_with
from usvi_bench.methods.base import Method

PAPER, RELEASED = "paper", {"method.form": "released"}


def describe_method(method: str, protocol: str) -> Iterator[str]:
    """Describe, in paragraphs, the settings and forms of a method on the data of a protocol.

    Args:
        method: registered name.
        protocol: registered name; its data set determines the settings, those of real images.

    Raises:
        UsageError: an unknown name.
    """
    cls: type[Method] = METHODS.get(method)
    profile = find_profile(protocol, None)
    yield f"{method}: {cls.summary}"
    yield f"All settings, their meaning and their values: {command('settings', method)}"
    released = released_form(cls)
    columns = _columns(method, protocol, profile, released is not None)
    if PAPER in columns:
        yield f"Settings for data of the kind '{profile}' that are not the same in all columns:"
    else:
        yield f"There is no setting 'paper' for data of the kind '{profile}'."
    if len(columns) > 1:
        yield to_markdown(_differences(columns))
    if released is None:
        yield "There is no form 'released'; the form is always 'repaired'."
        return
    yield "\n".join(["Form 'released' (--set method.form=released):", *_defects(released)])
    setting = ["--setting", PAPER] if PAPER in columns else []
    words = ["--method", method, "--protocol", protocol, "--data", "DIR", "--weights", "FILE", *setting]
    run = command(*words, "--set", "method.form=released")
    yield f"The run that imitates a released training, with real images in DIR and public weights in FILE:\n  {run}"


def released_form(cls: type[Method]) -> type[Method] | None:
    """Return the class of the released form of a method; None if there is none."""
    if not hasattr(cls.Config, "form"):
        return None
    try:
        return cls.in_form(cls.Config(**{"form": "released"}))
    except UsageError:  # a sub-class outside the suite, which inherits the setting only
        return None


def _columns(method: str, protocol: str, profile: str, released: bool) -> dict[str, Mapping[str, Any]]:
    """Return the settings of the default run, and of those with another setting or form, by title."""
    found: dict[str, Mapping[str, Any]] = {}
    has_paper = method in methods_with(PAPER, profile)
    for setting in (SHARED, PAPER) if has_paper else (SHARED,):
        made = load_config(method, protocol, profile=profile, setting=setting)
        found[setting] = flatten(made.settings())
    if released:
        last = PAPER if has_paper else SHARED
        made = load_config(method, protocol, profile=profile, setting=last, settings=RELEASED)
        found[f"{last}, released"] = flatten(made.settings())
    return found


def _differences(columns: Mapping[str, Mapping[str, Any]]) -> Table:
    names = dict.fromkeys(name for settings in columns.values() for name in settings)
    shown = {name: [value_text(settings.get(name)) for settings in columns.values()] for name in names}
    rows = [[name, *values] for name, values in shown.items() if len(set(values)) > 1]
    return Table("", ["setting", *columns], value_rows(rows), words=1 + len(columns))


def _defects(released: type[Method]) -> Iterator[str]:
    """Describe a released form by the docstrings of its class and of the functions that it overrides."""
    for paragraph in (inspect.getdoc(released) or "").split("\n\n"):
        yield f"  {' '.join(paragraph.split())}"
    for name, function in vars(released).items():
        if inspect.isfunction(function):
            text = re.split(r"\n\nArgs:", inspect.getdoc(function) or "")[0]
            yield f"  * {name}: {' '.join(text.split())}"
