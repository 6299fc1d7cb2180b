"""The examples of ``docs/search.md`` are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from usvi_bench.engine.cluster import ClusterSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "search.md"


def run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, people: Path | None = None) -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]
    if people is not None:
        assert block.count('"synthetic:size=tiny"') == 1
        block = block.replace('"synthetic:size=tiny"', repr(str(people)))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(PAGE), "exec"), {})


def test_the_example_searches_and_clusters(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(0, tmp_path, monkeypatch, tiny_people["sysu"])
    printed = capsys.readouterr().out
    assert re.match(r"\(\d+, 128\)\n(cam[1245]/\d{4}/\d{4}\.jpg 0\.\d{3}\n){5}\d+ pictures: \d+ clusters", printed)
    assert len(list((tmp_path / "found" / "pictures").iterdir())) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"people.npz", "found", "clusters.csv"}


def test_the_example_runs_an_exported_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    run(1, tmp_path, monkeypatch)
    assert capsys.readouterr().out == "(1, 128) 1.0\n"


def test_the_page_has_the_defaults_of_the_code() -> None:
    text, settings = " ".join(PAGE.read_text().split()), ClusterSettings()
    for name in ("eps", "k1", "k2", "min_samples"):
        assert f"`method.{name}` ({getattr(settings, name)})" in text
