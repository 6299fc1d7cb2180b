"""Import rules between the folders of the project."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "usvi_bench"
BELOW = {
    "core": set(),
    "synthetic": {"core"},
    "datasets": {"core", "synthetic"},
    "components": {"core"},
    "methods": {"core", "components"},
    "protocols": {"core", "datasets"},
    "engine": {"core", "synthetic", "datasets", "components", "methods", "protocols"},
    "leaderboard": {"core", "synthetic", "datasets", "components", "methods", "protocols", "engine"},
    "sweep": {"core", "datasets", "engine", "reports"},
    "reports": {"core", "synthetic", "datasets", "protocols", "engine", "leaderboard"},
    "cli": {"core", "synthetic", "datasets", "engine", "leaderboard", "sweep", "reports"},
}
BELOW["analysis"] = set(BELOW) - {"cli"}
BELOW["benchmarks"] = set(BELOW) - {"cli", "analysis"}
"""Folders that the files of a folder may import, beside their own; the first one is the ground floor."""


def judged(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports anywhere; ``from a import b`` counts as ``a.b``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            assert node.module
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _file(parts: list[str]) -> Path | None:
    place = ROOT.joinpath(*parts)
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if parts and file.is_file()), None)


@cache
def files_of(path: Path) -> frozenset[Path]:
    """Return the files of the project that a file imports."""
    found = set()
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == PACKAGE:
            submodule = _file(parts[1:])
            found |= {file for file in (submodule or _file(parts[1:-1]),) if file}
    return frozenset(found - {path})


@pytest.mark.parametrize("folder", sorted(BELOW))
def test_a_folder_imports_only_what_lies_below_it(folder: str) -> None:
    files = judged(folder)
    assert files, f"there is nothing to judge in {folder}"
    own, allowed = 0, {folder, *BELOW[folder], *(["api"] if folder in ("analysis", "cli") else [])}
    for path in files:
        for name in imported(path):
            parts = name.split(".")
            assert parts != [PACKAGE], f"{path.relative_to(ROOT)} imports {PACKAGE} itself, which reaches every folder"
            if parts[0] == PACKAGE:
                own += 1
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"
    assert own, f"no file of {folder} imports a module of the project: the names have changed"


def test_every_folder_of_code_is_judged() -> None:
    linked = {path.name for path in (ROOT / PACKAGE).iterdir() if path.is_symlink()}
    assert linked == set(BELOW) | {"configs"}
    for name in linked:
        assert (ROOT / PACKAGE / name).readlink() == Path("..") / name, "links are relative, to work in any checkout"


def test_no_file_imports_itself_through_others() -> None:
    graph = {path: files_of(path) for folder in (*BELOW, PACKAGE) for path in judged(folder)}
    assert sum(map(len, graph.values())) > 500, "imports were not found"
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        circle = [str(file.relative_to(ROOT)) for file in above[above.index(path) :]] if path in above else []
        assert not circle, f"imports go in a circle: {' -> '.join(circle)}"
        if path not in done:
            for other in graph.get(path, ()):
                visit(other, (*above, path))
            done.add(path)

    for path in graph:
        visit(path, ())


def test_nothing_is_imported_by_a_bare_folder_name() -> None:
    """A bare name would load a module twice, and could hide another library of the same name."""
    files = [path for folder in (*BELOW, "tests", PACKAGE) for path in judged(folder)]
    for path in [*files, ROOT / "run.py"]:
        for name in imported(path):
            assert name.split(".")[0] not in BELOW, f"{path.relative_to(ROOT)} imports {name}"


def test_mmengine_is_imported_by_the_settings_only() -> None:
    users = {
        str(path.relative_to(ROOT))
        for folder in BELOW
        for path in judged(folder)
        if any(name.split(".")[0] == "mmengine" for name in imported(path))
    }
    assert users == {"engine/read_settings.py"}


def test_the_door_is_small() -> None:
    assert len((ROOT / "run.py").read_text().splitlines()) < 60


def test_the_train_loop_is_one_short_file() -> None:
    code = [line for line in (ROOT / "engine/training.py").read_text().splitlines() if line.strip()]
    assert len(code) < 150
