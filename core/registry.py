"""Registries of classes and functions by name, one per kind, with suggestions for misspelt names.

A module registers its class by decorating it. The modules of the folder are imported on the first look-up, so a new
method is one new file. A registry is a plain mapping, because importing mmengine for its registry would add a fifth to
the CPU time of ``--list``.

Modules from outside the suite register in the same way (:mod:`usvi_bench.core.plugins`). A registry keeps the sources
of their parts, and it refuses an incomplete part. Installed plug-ins, named by entry points, are imported on the first
look-up.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Collection
from importlib.util import find_spec
from types import FunctionType
from typing import Any, TypeVar

from usvi_bench.core.entry_points import import_entry_points
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.external import METHOD as EXTERNAL
from usvi_bench.core.missing_parts import missing_parts
from usvi_bench.core.sources import Source, module_file, sources_of

T = TypeVar("T")
VALID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Valid names of parts, which appear in commands and in names of folders and files."""


class Registry:
    """Registry of one kind of class or function.

    Args:
        kind: name of the kind in the singular, for messages.
        package: module or folder of modules that register their classes when imported.
        base: class that parts from outside derive from, as ``module:class``; None for any function or class.
        reserved: names that no part can have.

    Attributes:
        registered: number of registrations so far.
    """

    def __init__(self, kind: str, package: str, base: str | None = None, reserved: Collection[str] = ()) -> None:
        self.kind = kind
        self._reserved = reserved
        self.registered = 0
        self._package = package
        self._base = base
        self._imported: list[str] = []  # folders whose modules have been imported
        self._entries: dict[str, Any] = {}
        self._sources: dict[str, tuple[Source, ...]] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a class or function to register it under ``name``.

        The same file or notebook may register a part from outside again, for example if a cell is run twice.

        Raises:
            UsageError: the name is taken or not valid, or a part from outside is incomplete.
        """
        if not VALID.fullmatch(name):
            suggestion = re.sub(r"\W", "_", name.lower())
            hint = f", such as {suggestion}" if VALID.fullmatch(suggestion) else ""
            raise UsageError(
                f"'{name}' is not a valid name of a {self.kind}: use letters, digits and _, with a letter first{hint}"
            )
        if name in self._reserved:
            raise UsageError(f"the name '{name}' of a {self.kind} has another meaning in records; choose another name")

        def add(entry: T) -> T:
            if not isinstance(entry, (type, FunctionType)):
                raise UsageError(f"the {self.kind} '{name}' is neither a class nor a function: {entry!r:.60}")
            sources = sources_of(entry)
            if sources:
                self._import_package()  # registers the names of the suite first
                self._refuse_incomplete(name, entry)
            again = bool(sources and self._sources.get(name)) and _same(self._entries[name], entry)
            if name in self._entries and not again:
                raise UsageError(
                    f"the {self.kind} '{name}' is already registered, by {_home(self._entries[name])}; "
                    f"choose another name for the one in {_home(entry)}"
                )
            self._entries[name], self._sources[name] = entry, sources
            self.registered += 1
            return entry

        return add

    def forget(self, name: str) -> None:
        """Remove a name, for temporary registrations."""
        self._entries.pop(name, None)
        self._sources.pop(name, None)

    def forget_module(self, module: str) -> None:
        """Remove all registrations of a module."""
        for name in [name for name, entry in self._entries.items() if entry.__module__ == module]:
            self.forget(name)

    def has_module(self, package: str) -> bool:
        """Return whether a module, or one below it, has registered anything."""
        return any(f"{entry.__module__}.".startswith(f"{package}.") for entry in self._entries.values())

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self._import_package()
        import_entry_points(has_registered)
        return sorted(self._entries)

    def own_names(self) -> list[str]:
        """Return the names of the parts of the suite, without those of plug-ins, sorted."""
        return [name for name in self.names() if not self._sources[name]]

    def outside_sources(self) -> list[Source]:
        """Return the sources of all parts that were registered from outside the suite."""
        return [source for sources in self._sources.values() for source in sources]

    def get(self, name: str) -> Any:
        """Return the class or function registered under ``name``.

        Raises:
            UsageError: the name is unknown; the message suggests the closest names.
        """
        if not isinstance(name, str):
            raise UsageError(f"{name!r:.60} is no name of a {self.kind}: give text")
        if name not in self.names():
            raise UsageError(f"unknown {self.kind} '{show(name)}': {did_you_mean(name, self.names())}")
        return self._entries[name]

    def name_of(self, entry: Any) -> str:
        """Return the registered name of a class, or of its closest registered base.

        Raises:
            UsageError: neither the class nor a base is registered.
        """
        names = {id(known): name for name, known in self._entries.items()}
        for cls in entry.__mro__:
            if id(cls) in names:
                return names[id(cls)]
        raise UsageError(f"{_home(entry)}: {entry.__qualname__} is not registered as a {self.kind}")

    def sources(self, name: str) -> tuple[Source, ...]:
        """Return the sources of a part from outside; empty for a part of the suite."""
        self.get(name)
        return self._sources[name]

    def owns(self, name: str) -> bool:
        """Return whether the folder of the registry has a module of this name, without importing it."""
        return bool(VALID.fullmatch(name)) and find_spec(f"{self._package}.{name}") is not None

    def check_free(self, name: str) -> None:
        """Refuse a name that a new part cannot have, because a part or a module of the suite has it.

        Raises:
            UsageError: the name is taken.
        """
        if name in self.names():
            raise UsageError(f"the {self.kind} '{name}' exists, by {_home(self._entries[name])}; choose another name")
        if name in self._reserved or self.owns(name):
            raise UsageError(f"the name '{name}' has another meaning in the suite; choose another name")

    def _import_package(self) -> None:
        package = importlib.import_module(self._package)
        folders = list(getattr(package, "__path__", ()))
        if folders == self._imported:
            return
        for module in pkgutil.iter_modules(folders):
            if module.name == "__pycache__":  # a folder of bytecode, whatever else was put there
                continue
            importlib.import_module(f"{self._package}.{module.name}")
        self._imported = folders

    def _refuse_incomplete(self, name: str, entry: Any) -> None:
        if self._base is None:
            return
        module, _, cls = self._base.partition(":")
        if lacks := missing_parts(entry, name, getattr(importlib.import_module(module), cls)):
            raise UsageError(f"the {self.kind} '{name}' of {_home(entry)} is not complete: {'; '.join(lacks)}")


def _same(old: Any, new: Any) -> bool:
    """Return whether a class redefines another one: it has the same name in the same file or notebook."""
    files = [module_file(each.__module__) or each.__module__ for each in (old, new)]
    return files[0] == files[1] and old.__qualname__ == new.__qualname__ and old is not new


def _home(entry: Any) -> str:
    file = module_file(entry.__module__)
    return f"{entry.__module__} ({file})" if file else str(entry.__module__)


METHODS = Registry("method", "usvi_bench.methods", "usvi_bench.methods.base:Method", reserved=(EXTERNAL,))
"""Methods by name (``--method``)."""
PROTOCOLS = Registry("protocol", "usvi_bench.protocols", "usvi_bench.protocols.base:Protocol")
"""Evaluation protocols by name (``--protocol``)."""
SCORE_METRICS = Registry("metric", "usvi_bench.protocols")
"""Further metrics by name."""
DATASETS = Registry("data set", "usvi_bench.datasets", "usvi_bench.datasets.tree:TreeDataset")
"""Data sets by name."""
LR_SCHEDULES = Registry("learning-rate schedule", "usvi_bench.engine.lr_schedules")
"""Learning-rate schedules by name (``train.lr_schedule``)."""
ENCODERS = Registry("encoder", "usvi_bench.components.encoder")
"""Encoders by name (``encoder.name``)."""
REGISTRIES = (METHODS, PROTOCOLS, DATASETS, LR_SCHEDULES, ENCODERS, SCORE_METRICS)


def has_registered(package: str) -> bool:
    """Return whether a package, or a module below it, has registered anything in any registry."""
    return any(registry.has_module(package) for registry in REGISTRIES)
