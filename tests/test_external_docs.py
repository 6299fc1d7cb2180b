"""The example of ``docs/external_models.md`` is complete, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io

import usvi_bench
from usvi_bench.components.encoder.known_containers import released_names
from usvi_bench.components.encoder.weight_file import WRAPPERS
from usvi_bench.core.record import read_record
from usvi_bench.engine.feature_file import ABOUT

PAGE = Path(__file__).resolve().parent.parent / "docs" / "external_models.md"


def test_the_example_scores_random_features(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
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


@pytest.mark.parametrize("text", [str, object])
def test_the_example_converts_features_of_other_code(
    text: type, tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with one-hot features of the identities, as texts of equal length or as cells, scores 1."""
    given = str(tiny_people["sysu"])
    test = usvi_bench.open_data("sysu_all", given).test(1)
    saved: dict[str, object] = {}
    for name, table in (("query", test.infrared), ("gallery", test.visible)):
        saved[f"{name}_feat"] = 3.0 * (table.identities[:, None] == np.arange(table.identities.max() + 1))
        saved[f"{name}_path"] = np.array([f"{given}/{path}" for path in table.paths], dtype=text)
    monkeypatch.chdir(tmp_path)
    scipy.io.savemat("saved.mat", saved)
    _, block = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block.count('"/data/SYSU-MM01"') == 1
    exec(compile(block.replace('"/data/SYSU-MM01"', repr(given)), str(PAGE), "exec"), {})
    assert usvi_bench.evaluate("sysu_all", given, features="features.npz").means()["mAP"] == pytest.approx(1.0)


def test_the_page_has_the_numbers_and_names_of_the_code() -> None:
    text = PAGE.read_text()
    for non_local, second in ((False, False), (True, False), (True, True)):
        assert f"{len(released_names(non_local, second)):,} tensors" in text
    assert all(f"`{name}`" in text for name in (*WRAPPERS, *ABOUT))
