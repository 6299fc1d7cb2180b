"""The example of ``docs/external_models.md`` is complete, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from usvi_bench.components.encoder.known_containers import released_names
from usvi_bench.components.encoder.weight_file import WRAPPERS
from usvi_bench.core.record import read_record
from usvi_bench.engine.feature_file import ABOUT

PAGE = Path(__file__).resolve().parent.parent / "docs" / "external_models.md"


def test_the_example_scores_random_features(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    given = str(tiny_people["sysu"])
    assert block.count('"synthetic:size=tiny"') == 1
    exec(compile(block.replace('"synthetic:size=tiny"', repr(given)), str(PAGE), "exec"), {})
    found = re.search(r"^mAP (0\.\d{3}), chance (0\.\d{3})$", capsys.readouterr().out, re.MULTILINE)
    assert found is not None
    assert abs(float(found[1]) - float(found[2])) < 0.1
    (path,) = tmp_path.glob("runs/sysu_all/external-*/record.json")
    external = read_record(path).result.external
    assert external is not None
    assert external.claims == "random features"


def test_the_page_has_the_numbers_and_names_of_the_code() -> None:
    text = PAGE.read_text()
    for non_local, second in ((False, False), (True, False), (True, True)):
        assert f"{len(released_names(non_local, second)):,} tensors" in text
    assert all(f"`{name}`" in text for name in (*WRAPPERS, *ABOUT))
