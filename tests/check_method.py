"""``python -m tests.check_method NAME``: the checks that concern one method, in less than a minute.

It runs ruff, mypy and the selected tests on the method's files, and names the file to edit for everything that fails.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from usvi_bench.cli.failures import open_streams
from usvi_bench.core.errors import did_you_mean
from usvi_bench.core.registry import METHODS

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    *("methods/test_every_method.py", "methods/test_released.py", "engine/test_defaults.py", "engine/test_describe.py"),
    *("engine/test_list_settings.py", "engine/test_odd_settings.py", "reports/test_method_cost.py"),
    *("test_docs.py", "test_layers.py", "test_readme.py"),
)
"""Test files of which those tests run that are parametrised with the method, or judge the list of all methods."""
WHOLE = (
    *("test_every_registered_method_is_under_test", "test_the_methods_table_names_every_method"),
    *("test_the_committed_defaults_are_those_of_the_code", "test_every_method_has_a_row", "test_the_readme_is_short"),
    "test_the_use_of_camera_labels",
)
"""Beginnings of the names of tests that judge all methods together."""
TRAININGS = "test_the_quick_schedule"
"""Beginning of the names of tests that train; one command below replaces them, and keeps its people."""
LINES = 20
"""Number of last lines that are shown of a tool that fails."""
TRY = "--protocol sysu_all --data synthetic:size=tiny --schedule quick --no-report --set engine.threads=1"
OPERATIONS = "tests/pretended_cuda/operations.json"


class Selection:
    """Selection of the tests that concern a method, as a plug-in of pytest."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests of the method's own file, those with its name as a parameter, and those of all methods."""
        kept = [item for item in items if self._concerns(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
        self.count = len(kept)

    def _concerns(self, item: pytest.Item) -> bool:
        if item.path.name in (f"test_{self.name}.py", "test_layers.py"):
            return True
        if item.name.startswith(TRAININGS):
            return False
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        return self.name in parameters.values() or item.name.startswith(WHOLE)


def main(words: Sequence[str] | None = None) -> int:
    """Run the checks; return 0 if all pass, 2 for an unknown method, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.check_method", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="name of the method")
    name = parser.parse_args(words).name
    open_streams()
    file = ROOT / "methods" / f"{name}.py"
    if not file.is_file():
        known = did_you_mean(name, METHODS.own_names())
        print(
            f"methods/{name}.py: no such file: {known} 'python run.py new method {name}' writes it; to check a file "
            "outside the suite, train it with '--import FILE --schedule quick --data synthetic:size=tiny'",
            file=sys.stderr,
        )
        return 2
    failed = 0
    for title, fault in faults(name):
        failed += bool(fault)
        print(f"{'FAILED' if fault else 'passed'}  {title}", *fault.splitlines(), sep="\n        ", flush=True)
    selection = Selection(name)
    own = ROOT / "tests" / "methods" / f"test_{name}.py"
    paths = [*(ROOT / "tests" / path for path in FILES), *([own] if own.exists() else [])]
    status = int(pytest.main(["-q", "-p", "no:cacheprovider", "--tb=short", *map(str, paths)], plugins=[selection]))
    print(f"{'FAILED' if status else 'passed'}  {selection.count} tests")
    return int(bool(failed or status))


def faults(name: str) -> Iterator[tuple[str, str]]:
    """Yield the title of each check besides tests, and what is wrong; the text is empty if it passes."""
    own = [f"methods/{name}.py", f"tests/methods/test_{name}.py"]
    files = [path for path in own if (ROOT / path).exists()]
    yield "files", "" if len(files) == 2 else f"{own[1]}: write tests of its formulas against loops"
    yield "texts", "\n".join(_open_words(name, files))
    yield "ruff", _output("ruff", "check", "--output-format", "concise", *files)
    yield "format", _output("ruff", "format", "--check", *files)
    yield "mypy", _output("mypy", f"usvi_bench/methods/{name}.py")
    yield "table of sizes", _output("usvi_bench.reports.pages", "CONTRIBUTING.md")
    bounds = json.loads((ROOT / OPERATIONS).read_text())
    trained = METHODS.get(name).stages(METHODS.get(name).Config())
    remedy = f"{OPERATIONS}: no bounds: run python -m tests.pretended_cuda.operations --write {name}"
    yield "GPU operations", remedy if trained and name not in bounds else ""
    with tempfile.TemporaryDirectory() as folder:
        yield "a training", _output("usvi_bench", "--method", name, *TRY.split(), "train.epochs=1", "--output", folder)


def _open_words(name: str, files: Sequence[str]) -> Iterator[str]:
    """Yield the lines that still have to be written, with their places."""
    for path in (*files, "README.md", "docs/methods.md"):
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
            if re.search(r"\bTODO\b", line) and (path in files or path == "docs/methods.md" or f"`{name}`" in line):
                yield f"{path}:{number}: {line.strip():.100}"
    section = re.search(rf"`{name}`", (ROOT / "docs/methods.md").read_text())
    if section is None:
        yield f"docs/methods.md: no line has `{name}`: write its section"


def _output(*words: str) -> str:
    """Run a module of Python; return its output if it fails."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()[-LINES:] or ["failed"]
    return "\n".join(lines) if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
