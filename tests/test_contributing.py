"""Example method of docs/add_a_method.md as a method of the suite."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from usvi_bench import methods
from usvi_bench.cli.main import main
from usvi_bench.core.registry import METHODS
from usvi_bench.engine.new_method import title_of
from usvi_bench.engine.new_method_texts import TEST

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = "cross_contrast"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make the example importable as a module of ``methods`` for one test."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/add_a_method.md").read_text(), re.DOTALL)[0]
    (tmp_path / f"{EXAMPLE}.py").write_text(code)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield code
    sys.modules.pop(f"usvi_bench.methods.{EXAMPLE}", None)
    METHODS.forget(EXAMPLE)


def test_the_example_is_short(example: str) -> None:
    assert len([line for line in example.splitlines() if line.strip()]) <= 40


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_test_that_is_written_with_the_example_passes(
    example: str, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "methods"))
    written: dict[str, Any] = {}
    exec(TEST.substitute(name=EXAMPLE, title=title_of(EXAMPLE)), written)
    written["test_the_cross_loss_is_a_softmax_over_the_visible_rows"](weight)


def test_the_example_is_listed_trained_and_scored(
    example: str, tmp_path: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--list"]) == 0
    assert EXAMPLE in capsys.readouterr().out
    settings = ["train.epochs=1", "train.iterations=2", "train.visible_clusters=2", "train.infrared_clusters=2"]
    settings += ["method.k1=6", "method.eps=0.5", "encoder.width=8", "engine.threads=1", "method.cross_weight=0.5"]
    arguments = ["--method", EXAMPLE, "--protocol", "sysu_all", "--data", str(tiny_people["sysu"])]
    assert main([*arguments, "--no-report", "--output", str(tmp_path / "runs"), "--set", *settings]) == 0
    assert "cross" in capsys.readouterr().out
