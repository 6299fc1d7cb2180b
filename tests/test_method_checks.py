"""``python -m tests.check_method``: what it selects, and the files that it names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import check_method
from tests.check_method import FILES, OPERATIONS, WHOLE, Selection, faults, main

ROOT = Path(__file__).resolve().parent.parent


def item(name: str, file: str = "test_every_method.py", /, **params: object) -> Any:
    return SimpleNamespace(name=name, path=Path(file), callspec=SimpleNamespace(params=params))


def test_the_tests_of_a_method_are_selected() -> None:
    kept = [
        item("test_a[pgm]", name="pgm"),
        item("test_b", "test_pgm.py"),
        item("test_every_registered_method_is_under_test"),
        item("test_c", "test_layers.py"),
    ]
    others = [
        item("test_the_quick_schedule_serves[pgm]", name="pgm"),
        item("test_a[pgm_x]", name="pgm_x"),
        item("test_b", "test_pgm_x.py"),
        item("test_d", "test_docs.py"),
    ]
    items, dropped = [*kept, *others], []
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: dropped.extend(items)))
    selection = Selection("pgm")
    selection.pytest_collection_modifyitems(config, items)  # type: ignore[arg-type]
    assert (items, dropped, selection.count) == (kept, others, 4)


def test_the_files_and_tests_that_are_named_exist() -> None:
    text = "".join((ROOT / "tests" / path).read_text() for path in FILES)
    assert [name for name in WHOLE if f"def {name}" not in text] == []


def test_an_unknown_method_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pgn"]) == 2
    assert "methods/pgn.py: no such file: did you mean pgm" in capsys.readouterr().err


def test_every_fault_names_the_file_to_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("methods/pgm.py", "tests/methods/test_pgm.py", "README.md", "docs/methods.md", OPERATIONS):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    monkeypatch.setattr(check_method, "ROOT", tmp_path)
    monkeypatch.setattr(check_method, "_output", lambda *_: "")
    assert not any(fault for _, fault in faults("pgm"))
    (tmp_path / "methods/pgm.py").write_text("# TODO write it\n")
    (tmp_path / "tests/methods/test_pgm.py").unlink()
    (tmp_path / "docs/methods.md").write_text("# Methods\n")
    (tmp_path / "README.md").write_text("| `pgm` | TODO |\n| `adca` | TODO of others |\n")
    (tmp_path / OPERATIONS).write_text(json.dumps({}))
    found = dict(faults("pgm"))
    assert found["files"] == "tests/methods/test_pgm.py: write tests of its formulas against loops"
    assert found["texts"].splitlines() == [
        "methods/pgm.py:1: # TODO write it",
        "README.md:1: | `pgm` | TODO |",
        "docs/methods.md: no line has `pgm`: write its section",
    ]
    assert found["GPU operations"].startswith(f"{OPERATIONS}: no bounds: run python -m tests.pretended_cuda.operations")


def test_the_output_of_a_tool_that_fails_is_shown() -> None:
    assert check_method._output("json.tool", "--version-of-nothing") != ""
    assert check_method._output("this") == ""
