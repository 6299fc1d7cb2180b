"""Registries of classes and functions by name, one a kind, with suggestions for misspelt names.

A module registers its class by decorating it. The modules of the folder are imported on the first look-up, so a new
method is one new file. A plain mapping does the work: importing mmengine for its registry would add a fifth to the
processor time of ``--list``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from usvi_bench.core.errors import UsageError, did_you_mean

T = TypeVar("T")


class Registry:
    """Registry of one kind of class or function.

    Args:
        kind: what it holds, in the singular; used in messages.
        package: module or folder of modules that register their classes when imported.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._imported: list[str] = []  # folders whose modules have been imported
        self._entries: dict[str, Any] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a class or function to register it under ``name``.

        Raises:
            UsageError: the name is taken.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                home = self._entries[name].__module__
                raise UsageError(f"the {self.kind} '{name}' is already registered, by {home}; choose another name")
            self._entries[name] = entry
            return entry

        return add

    def forget(self, name: str) -> None:
        """Remove a name, for code that registers a class for a while."""
        self._entries.pop(name, None)

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self._import_package()
        return sorted(self._entries)

    def get(self, name: str) -> Any:
        """Return the class or function registered under ``name``.

        Raises:
            UsageError: no such name; the message offers the closest ones.
        """
        if name not in self.names():
            raise UsageError(f"unknown {self.kind} '{name}': {did_you_mean(name, self.names())}")
        return self._entries[name]

    def _import_package(self) -> None:
        package = importlib.import_module(self._package)
        folders = list(getattr(package, "__path__", ()))
        if folders == self._imported:
            return
        for module in pkgutil.iter_modules(folders):
            importlib.import_module(f"{self._package}.{module.name}")
        self._imported = folders


METHODS = Registry("method", "usvi_bench.methods")
PROTOCOLS = Registry("protocol", "usvi_bench.protocols")
SCORE_METRICS = Registry("metric", "usvi_bench.protocols")
DATASETS = Registry("data set", "usvi_bench.datasets")
LR_SCHEDULES = Registry("learning-rate schedule", "usvi_bench.engine.lr_schedules")
ENCODERS = Registry("encoder", "usvi_bench.components.encoder")
