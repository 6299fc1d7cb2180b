"""Fixtures shared by several test folders."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from usvi_bench.core import entry_points, plugins
from usvi_bench.core.registry import REGISTRIES
from usvi_bench.synthetic import ensure, parse

TINY = "synthetic:size=tiny"
LONGEST = ("test_faults.py", "test_newcomer.py", "test_examples.py", "test_identities.py", "test_ablation_command.py")
"""Files of about a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that no process is left with one of them at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set one cache for all test processes of a session, separate from the user's cache."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "usvi-cache"
    folder.mkdir(exist_ok=True)
    patch = pytest.MonkeyPatch()
    patch.setenv("USVI_CACHE", str(folder))
    patch.delenv("USVI_DATA", raising=False)
    yield folder
    patch.undo()


@pytest.fixture(scope="session")
def tiny_people(cache: Path) -> dict[str, Path]:
    """Render the tiny synthetic data sets once for all test processes; return their folders by layout."""
    with (cache / "render.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {layout: ensure(layout, parse(TINY), cache) for layout in ("sysu", "regdb", "llcm")}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Reset torch to one thread before every test, because tests run in parallel."""
    torch.set_num_threads(1)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder outside the project; what its plug-ins register is forgotten after the test."""
    for registry in REGISTRIES:
        registry.names()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_sources", dict(registry._sources))
    monkeypatch.setattr(plugins, "_MODULES", {})
    monkeypatch.setattr(entry_points, "_IMPORTED", [])
    monkeypatch.setattr(entry_points, "_BEGUN", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
