"""List of all settings of a run, derived from the dataclasses that hold them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, Literal, get_type_hints

from usvi_bench.core.bounds import bounds_of, choices_of
from usvi_bench.core.errors import UsageError
from usvi_bench.core.field_docs import field_docs
from usvi_bench.core.registry import DATASETS, PROTOCOLS
from usvi_bench.core.typed import describe_kind
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.open import find_data
from usvi_bench.datasets.tree import TreeDataset
from usvi_bench.engine.config import GROUPS, RunConfig
from usvi_bench.engine.load_config import profile_of

_ROLE = re.compile(r":\w+:`~?([^`]+)`|``([^`]*)``")
"""Markup of docstrings: roles and code."""


@dataclass(frozen=True)
class Setting:
    """Setting of a run.

    Attributes:
        name: name for ``--set``.
        type: kind of value or the choices, in words.
        range: bounds of a number, in words; empty if there are none.
        default: value without any file or option.
        value: value in force.
        meaning: text of the field; empty for a class from outside without texts.
    """

    name: str
    type: str
    range: str
    default: Any
    value: Any
    meaning: str

    def matches(self, words: Sequence[str]) -> bool:
        """Return whether the name or the meaning has all words, in upper or lower case."""
        text = f"{self.name} {self.meaning}".lower()
        return all(word.lower() in text for word in words)

    def to_text(self, width: int) -> str:
        """Return the setting as lines of at most ``width`` characters, if its words are shorter."""
        default = "" if self.value == self.default else f"  (default {value_text(self.default)})"
        kind = f"{self.type} {self.range}".strip()
        sentence = f"{self.meaning} {kind[:1].upper()}{kind[1:]}.".strip()
        indent = " " * 4
        body = textwrap.fill(sentence, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        return f"{self.name} = {value_text(self.value) or '(empty)'}{default}\n{body}"


def list_settings(config: RunConfig) -> list[Setting]:
    """List every setting of a run that ``--set`` changes, group by group."""
    found: list[Setting] = []
    for item in fields(config):
        group = getattr(config, item.name)
        if is_dataclass(group) and not isinstance(group, type):
            found += _settings_of(group, f"{GROUPS.get(item.name, item.name)}.")
        elif bounds_of(RunConfig, item.name):
            found.append(_setting(config, item, ""))
    return found


def find_profile(protocol: str, data: str | None) -> str:
    """Return the kind of data whose settings files a run reads.

    Args:
        protocol: registered name.
        data: value of ``--data``; None for the real images of the protocol.

    Raises:
        UsageError: an unknown name, or wrong data.
    """
    kind: str = PROTOCOLS.get(protocol).dataset
    reader: type[TreeDataset] = DATASETS.get(kind)
    if data is None or (data == "auto" and issubclass(reader, FolderData)):
        return reader.profile or kind
    source = find_data(kind, data)
    return profile_of(source.reader.profile or source.reader.name, source.synthetic_spec)


def value_text(value: Any) -> str:
    """Return a value as ``--set`` takes it, with up to four digits.

    >>> value_text([20, 40]), value_text(0.00035), value_text(True)
    ('20,40', '0.00035', 'true')
    """
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower()


def select(settings: Sequence[Setting], words: Sequence[str]) -> list[Setting]:
    """Return the settings that have all words.

    Raises:
        UsageError: there is none.
    """
    found = [setting for setting in settings if setting.matches(words)]
    if not found:
        raise UsageError(f"--filter {' '.join(words):.60}: no setting has these words; give another word, or none")
    return found


def _settings_of(group: Any, prefix: str) -> Iterator[Setting]:
    for item in fields(group):
        yield _setting(group, item, prefix)


def _setting(group: Any, item: Field[Any], prefix: str) -> Setting:
    kind: type = type(group)
    default = item.default if item.default_factory is MISSING else item.default_factory()
    value = getattr(group, item.name)
    text = _ROLE.sub(lambda match: match[1] or f"'{match[2]}'", field_docs(kind).get(item.name, ""))
    choices = choices_of(kind, item.name)
    return Setting(
        name=f"{prefix}{item.name}",
        type=describe_kind(Literal[tuple(choices)] if choices else get_type_hints(kind)[item.name]),
        range=str(bounds_of(kind, item.name) or ""),
        default=value if default is MISSING else default,
        value=value,
        meaning=text[:1].upper() + text[1:],
    )
