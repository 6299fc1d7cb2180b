"""The example of ``docs/add_an_encoder.md`` is an encoder that trains, from a file outside the repository."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import usvi_bench
from usvi_bench.core.registry import ENCODERS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "add_an_encoder.md"
QUICK = {
    "train.epochs": 1, "train.iterations": 2, "train.visible_clusters": 2, "train.infrared_clusters": 2,
    "train.instances": 2, "data.height": 64, "data.width": 32, "method.k1": 6, "method.eps": 0.6, "engine.threads": 1,
}  # fmt: skip


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example, imported by its file's name from a folder of the user's."""
    (tmp_path / "mine.py").write_text(blocks()[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("mine")
    sys.modules.pop("mine")
    ENCODERS.forget("mine")


def test_the_example_is_short() -> None:
    assert len(blocks()[0].splitlines()) < 60


def run(people: Path, **settings: Any) -> usvi_bench.Record:
    chosen = {**QUICK, "encoder.name": "mine", **{f"encoder.{name}": value for name, value in settings.items()}}
    weights = chosen.pop("encoder.weights", None)
    return usvi_bench.run("cluster_contrast", "sysu_all", people, settings=chosen, weights=weights, verbose=False)


@pytest.mark.usefixtures("mine")
def test_the_example_trains_and_its_record_has_its_settings(tiny_people: dict[str, Path]) -> None:
    records = [run(tiny_people["sysu"], depth=depth) for depth in (3, 1)]
    assert [record.result.config["encoder"] for record in records] == [
        {"name": "mine", "bn_groups": 1, "depth": depth} for depth in (3, 1)
    ]
    assert records[0].result.config_hash != records[1].result.config_hash
    assert all(record.complete and record.expected_hash() == record.result.config_hash for record in records)


@pytest.mark.usefixtures("mine")
def test_mistakes_in_its_settings_are_named(tiny_people: dict[str, Path]) -> None:
    with pytest.raises(usvi_bench.UsageError, match=r"encoder\.dept': did you mean encoder.depth"):
        run(tiny_people["sysu"], dept=3)
    with pytest.raises(usvi_bench.UsageError, match=r"encoder\.depth=0 must be at least 1"):
        run(tiny_people["sysu"], depth=0)
    with pytest.raises(usvi_bench.UsageError, match=r"encoder\.depth=deep: expected a whole number"):
        run(tiny_people["sysu"], depth="deep")


def test_its_public_weights_fill_both_modalities(
    mine: ModuleType, tiny_people: dict[str, Path], tmp_path: Path
) -> None:
    network = mine.Mine(mine.MineConfig("mine", depth=1), 64, 32)
    state = {f"patches.{name}": value for name, value in network.visible.state_dict().items()}
    state |= {name: value for name, value in network.state_dict().items() if name.startswith("layers.")}
    torch.save(state, tmp_path / "public.pth")
    renamed = network.from_public(state)
    assert torch.equal(renamed["infrared.weight"], network.visible.weight)
    assert renamed.keys() == network.state_dict().keys()
    record = run(tiny_people["sysu"], depth=1, weights=tmp_path / "public.pth")
    assert record.result.start_weights["source"] == "public.pth"
    with pytest.raises(usvi_bench.UsageError, match=r"public\.pth' do not fit this encoder"):
        run(tiny_people["sysu"], depth=2, weights=tmp_path / "public.pth")
