"""Names to classes and functions: one registry a kind, and a look-up that says "did you mean".

A module registers its class by decorating it; the folder's modules are imported on the first look-up, so a new
method is one new file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.registry import Registry as _Registry

from usvi_bench.core.errors import UsageError, did_you_mean

T = TypeVar("T")


class Registry:
    """Classes of one kind by name.

    Args:
        kind: what it holds, in the singular; used in messages.
        package: module or folder of modules that register their classes when imported.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._imported: list[str] = []  # folders whose modules have been imported
        self._registry = _Registry(kind)

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files a class under ``name``; a name can be taken once."""

        def file(cls: T) -> T:
            self._registry.register_module(name=name, module=cls)
            return cls

        return file

    def forget(self, name: str) -> None:
        """Take a name out again, for code that registers a class for a while."""
        self._registry.module_dict.pop(name, None)

    def names(self) -> list[str]:
        """All registered names, sorted."""
        self._import_package()
        return sorted(self._registry.module_dict)

    def get(self, name: str) -> Any:
        """The class filed under ``name``.

        Raises:
            UsageError: no such name; the message offers the closest ones.
        """
        if name not in self.names():
            raise UsageError(f"unknown {self.kind} '{name}': {did_you_mean(name, self.names())}")
        return self._registry.module_dict[name]

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
DATASETS = Registry("data set", "usvi_bench.datasets")
LR_SCHEDULES = Registry("learning-rate schedule", "usvi_bench.engine.lr_schedules")
ENCODERS = Registry("encoder", "usvi_bench.components.encoder")
