"""Imports of commands without work: ``--list`` and ``--help`` take about as long as importing torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import usvi_bench
from usvi_bench.cli.commands import COMMANDS, SUMMARIES
from usvi_bench.core import registry
from usvi_bench.core.registry import Registry

ROOT = Path(usvi_bench.__file__).resolve().parent.parent
HEAVY = {
    "faiss",
    "jinja2",
    "matplotlib",
    "mmengine",
    "numba",
    "pandas",
    "plotly",
    "scipy",
    "seaborn",
    "sklearn",
    "submitit",
}
LIMIT, ROUNDS = 1.3, 5
SHOW = "import sys\ntry:\n    {}\nexcept SystemExit:\n    pass\nfinally:\n    print('modules:', *sys.modules)"


def modules_after(statement: str) -> set[str]:
    """Return the top-level names of the modules that a new process has imported after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(statement)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.rpartition("modules:")[2].split()}


def after_command(words: str) -> set[str]:
    return modules_after(f"from usvi_bench.cli.main import main; sys.exit(main({words.split()}))")


def test_a_list_imports_no_module_that_only_work_needs() -> None:
    imported = after_command("--list")
    assert {"torch", "numpy"} <= imported, "the list was not made in that process"
    assert imported & HEAVY == set()


@pytest.mark.parametrize("words", ["--help", *(f"{name} --help" for name in COMMANDS)])
def test_help_imports_parsers_only(words: str) -> None:
    imported = after_command(words)
    assert "usvi_bench" in imported
    assert imported & (HEAVY | {"numpy", "rich", "torch"}) == set()


def test_the_help_names_every_command_in_80_columns() -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    words = [sys.executable, "run.py", "--help"]
    text = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    for name, summary in SUMMARIES.items():
        assert f"  {name:<10} {summary}\n" in text
    assert [line for line in text.splitlines() if len(line) > 80 and ".venv" not in line] == []


def test_the_package_itself_imports_nothing() -> None:
    assert modules_after("import usvi_bench") - sys.stdlib_module_names - modules_after("pass") == {"usvi_bench"}


def cpu_seconds(*words: str, cache: Path) -> float:
    """Measure the CPU seconds of a Python process, including its start.

    Compiled modules are kept in ``cache``, because compiling is no part of the comparison.
    """
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(cache)
    before = os.times()
    subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.parametrize("words", ["--list", "--help"])
def test_a_command_costs_little_more_than_importing_torch(words: str, tmp_path: Path) -> None:
    """The minimum times are compared, with more rounds if they differ too much, because the machine may be busy."""
    commands, references = [], []
    for _ in range(ROUNDS):
        references.append(cpu_seconds("-c", "import torch", cache=tmp_path))
        commands.append(cpu_seconds("run.py", words, cache=tmp_path))
        if min(commands) <= LIMIT * min(references):
            return
    pytest.fail(f"run.py {words} took {min(commands):.2f} s, import torch {min(references):.2f} s")


def test_a_registry_imports_its_package_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    iter_modules = registry.pkgutil.iter_modules
    monkeypatch.setattr(registry.pkgutil, "iter_modules", lambda path: looks.append(path) or iter_modules(path))
    readers = Registry("data set", "usvi_bench.datasets")
    for _ in range(3):
        readers.names()
    assert len(looks) == 1
