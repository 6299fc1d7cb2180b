"""Who may import whom: the layout explains itself only while this holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OWN = {"components", "datasets", "engine", "leaderboard", "methods", "protocols", "reports", "run"}
VOCABULARY = {"engine.types", "engine.seeding", "engine.registry", "engine.measuring"}
BASICS = VOCABULARY | {"engine.files"}
ALLOWED = {
    "components": VOCABULARY | {"components"},
    "methods": VOCABULARY | {"components", "methods"},
    "datasets": BASICS | {"datasets", "engine.memory"},
    "protocols": BASICS | {"protocols", "datasets"},
    "leaderboard": BASICS | {"leaderboard"},
    "reports": BASICS
    | {"engine.journal", "engine.options", "reports", "leaderboard", "protocols.base", "datasets.base"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_a_layer_imports_only_what_lies_below_it(folder: str) -> None:
    allowed = ALLOWED[folder]
    for path in (ROOT / folder).rglob("*.py"):
        for name in imported(path):
            if name.split(".")[0] in OWN:
                fine = name in allowed or name.split(".")[0] in allowed
                assert fine, f"{path.relative_to(ROOT)} imports {name}"


def test_mmengine_is_imported_by_the_registry_and_the_configuration_only() -> None:
    users = {
        str(path.relative_to(ROOT))
        for folder in OWN - {"run"}
        for path in (ROOT / folder).rglob("*.py")
        if any(name.split(".")[0] == "mmengine" for name in imported(path))
    }
    assert users == {"engine/registry.py", "engine/config.py"}


def test_the_door_is_small() -> None:
    assert len((ROOT / "run.py").read_text().splitlines()) < 60


def test_the_train_loop_is_one_short_file() -> None:
    code = [line for line in (ROOT / "engine/training.py").read_text().splitlines() if line.strip()]
    assert len(code) < 150
