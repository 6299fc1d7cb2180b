"""Committed defaults: equal to those of the code, and unchanged hashes after a new setting."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from usvi_bench.core.settings import FORMAT, committed_defaults
from usvi_bench.engine import config as config_module
from usvi_bench.engine import defaults
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.defaults import compare_defaults, current_defaults, main
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.plan import plan_stages, run_folder


def test_the_committed_defaults_are_those_of_the_code() -> None:
    changed, new = compare_defaults(committed_defaults(FORMAT), current_defaults())
    assert not changed, "raise FORMAT in core/settings.py, then: python -m usvi_bench.engine.defaults --write"
    assert not new, "add them: python -m usvi_bench.engine.defaults --write"
    assert current_defaults()["encoders"]["small"] == {"bn_groups": 1, "non_local": False, "width": 16}


def test_no_setting_is_a_mapping() -> None:
    """A mapping without one entry would hash like its default, because settings are compared name by name."""
    current = current_defaults()
    groups = {**{k: v for k, v in current["settings"].items() if isinstance(v, dict)}, **current["methods"]}
    assert not [
        f"{group}.{name}" for group, values in groups.items() for name, v in values.items() if isinstance(v, dict)
    ]


def test_a_changed_default_needs_a_new_number_and_a_new_setting_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(defaults, "FOLDER", tmp_path)
    path = tmp_path / f"{FORMAT}.json"
    assert main(["--write"]) == 0, "a new number starts a new file"
    first = path.read_bytes()
    content = current_defaults()
    content["settings"]["train"]["warmup"] = 0
    monkeypatch.setattr(defaults, "current_defaults", lambda: content)
    assert main([]) == 1
    assert "settings.train.warmup" in capsys.readouterr().err
    assert main(["--write"]) == 0
    assert path.read_bytes() != first
    committed_defaults.cache_clear()

    changed = copy.deepcopy(content)
    changed["methods"]["pgm"]["eps"] = 0.5
    monkeypatch.setattr(defaults, "current_defaults", lambda: changed)
    monkeypatch.setattr(defaults, "committed_defaults", lambda number: content)
    before = path.read_bytes()
    assert main(["--write"]) == 1
    assert "methods.pgm.eps changed; raise FORMAT" in capsys.readouterr().err
    assert path.read_bytes() == before


def keys(config: Any) -> tuple[str, ...]:
    plans = plan_stages(config, 1, "data", "random", Path("runs"))
    return (config.hash("random"), *(plan.key for plan in plans), run_folder(config, plans, Path(), "d", "s").name)


def test_a_new_setting_at_its_default_moves_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("sclhm", "sysu_all", profile="sysu", settings={"train.lr": 0.001})
    before = keys(config)
    wider = dataclasses.make_dataclass(
        "TrainConfig", [("warmup", int, 0)], bases=(TrainConfig,), frozen=True, namespace={"__module__": __name__}
    )
    fields = {f.name: getattr(config.train, f.name) for f in dataclasses.fields(config.train)}
    monkeypatch.setattr(config_module, "TrainConfig", wider)
    default_settings = config_module.default_settings

    def widened(method: str, encoder: str = "resnet50") -> dict[str, Any]:
        found = default_settings(method, encoder)
        return {**found, "train": {**found["train"], "warmup": 0}}

    monkeypatch.setattr(config_module, "default_settings", widened)
    assert keys(dataclasses.replace(config, train=wider(**fields))) == before
    moved = keys(dataclasses.replace(config, train=wider(**fields, warmup=5)))
    assert not set(moved) & set(before)


def test_settings_that_depend_on_data_or_device_are_resolved_before_hashing() -> None:
    config = load_config("pgm", "sysu_all", profile="sysu")
    assert config.method_config.search == "auto"  # type: ignore[attr-defined]
    cpu = torch.device("cpu")
    exact = load_config("pgm", "sysu_all", profile="sysu", settings={"method.search": "exact"})
    approximate = load_config("pgm", "sysu_all", profile="sysu", settings={"method.search": "approximate"})
    assert config.resolve(200_000, cpu) == exact.resolve(300_000, cpu) == exact
    assert config.resolve(200_001, cpu) == approximate
    assert config.resolve(300_000, torch.device("cuda")) == exact
    assert exact.hash("random") != approximate.hash("random")
    assert exact.hash("random") == config.resolve(10, cpu).hash("random")
    reference = load_config("supervised", "sysu_all", profile="sysu")
    assert reference.resolve(300_000, cpu) is reference
