"""Identities reach no method except the supervised bound: other identities give the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import usvi_bench
from usvi_bench.cli.main import main
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.types import PseudoLabels
from usvi_bench.datasets.base import Split
from usvi_bench.engine.evaluation import TableEmbedder
from usvi_bench.engine.run import Run
from usvi_bench.engine.stages import true_identities
from usvi_bench.engine.training import StageTraining
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig

Orders = tuple[NDArray[np.int64], NDArray[np.int64]]
QUICK = ["train.epochs=2", "train.iterations=2", "train.visible_clusters=2", "train.infrared_clusters=2"]
QUICK += ["encoder.width=8", "engine.threads=1"]
CLUSTERS = ["method.k1=6", "method.eps=0.5"]


def final_weights(output: Path, method: str, data: Path) -> dict[str, torch.Tensor]:
    settings = QUICK + (CLUSTERS if method != "supervised" else [])
    arguments = ["--method", method, "--protocol", "sysu_all", "--data", str(data), "--output", str(output)]
    assert main([*arguments, "--no-report", "--set", *settings]) == 0
    path = max(output.glob(f"stages/{method}-*/epoch_*.pt"))
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["models"]["student"]
    return state


@pytest.mark.parametrize(("method", "same"), [("sclhm", True), ("supervised", False)])
def test_permuted_identities(
    method: str, same: bool, tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = final_weights(tmp_path / "true", method, tiny_people["sysu"])

    def permuted(split: Split, orders: Orders, device: torch.device) -> PseudoLabels:
        labels = true_identities(split, orders, device)
        return replace(labels, visible=labels.visible.flip(0), infrared=labels.infrared.roll(5))

    monkeypatch.setattr("usvi_bench.engine.stages.true_identities", permuted)
    second = final_weights(tmp_path / "permuted", method, tiny_people["sysu"])
    assert all(torch.equal(first[name], second[name]) for name in first) == same


@pytest.mark.parametrize(("name", "given"), [("cluster_contrast", False), ("supervised", True)])
def test_the_record_states_whether_identities_were_given(
    name: str, given: bool, tiny_people: dict[str, Path], tmp_path: Path
) -> None:
    settings = {"train.epochs": 1, "train.iterations": 1, "engine.threads": 1}
    record = usvi_bench.run(
        name, "sysu_all", tiny_people["sysu"], settings=settings, schedule="quick", output=tmp_path, verbose=False
    )
    assert record.result.uses_identities is given
    assert faults(record) == []


def test_a_method_that_takes_identities_undeclared_is_recorded_as_such(
    tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(self: ClusterContrast, config: ClusterContrastConfig, encoder: TwoStreamEncoder) -> None:
        made(self, config, encoder)
        self.uses_identities = True  # the class still declares False

    made = ClusterContrast.__init__
    monkeypatch.setattr(ClusterContrast, "__init__", take)
    settings = {"train.epochs": 1, "train.iterations": 1, "engine.threads": 1}
    record = usvi_bench.run(
        "cluster_contrast", "sysu_all", tiny_people["sysu"], settings=settings, schedule="quick", output=tmp_path
    )
    assert record.result.uses_identities
    assert [fault for fault in faults(record) if fault.startswith("result.uses_identities: True")]


def test_a_training_method_never_receives_test_images(
    tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, scored = list[TwoStreamEncoder](), list[TwoStreamEncoder]()
    begin, embedder = StageTraining.__init__, TableEmbedder.__init__

    def note_trained(self: StageTraining, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        trained.extend(self.method.models().values())

    def note_scored(self: TableEmbedder, run: Run, model: TwoStreamEncoder, *more: Any) -> None:
        embedder(self, run, model, *more)
        scored.append(model)

    monkeypatch.setattr(StageTraining, "__init__", note_trained)
    monkeypatch.setattr(TableEmbedder, "__init__", note_scored)
    settings = {"train.epochs": 2, "train.iterations": 1, "engine.threads": 1, "evaluate_every": 1}
    data = tiny_people["sysu"]
    usvi_bench.run("cluster_contrast", "sysu_all", data, settings=settings, schedule="quick", output=tmp_path)
    live = {id(part) for model in trained for part in model.parameters()}
    assert trained
    assert len(scored) >= 4  # two epochs, and the trained and the starting weights
    assert not [part for model in scored for part in model.parameters() if id(part) in live]
