"""The loss scaler of fp16: skipped steps are counted and mended; only a training that cannot recover ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Batch, Losses, StageProgress
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.divergence import finite_losses
from usvi_bench.engine.execute import execute
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import parse_settings
from usvi_bench.engine.loss_scaler import FLOOR, LONGEST, LossScaler
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.stages import last_checkpoint
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.methods.base import Method, MethodConfig
from usvi_bench.methods.cluster_contrast import ClusterContrast

CPU = torch.device("cpu")
INF = float("inf")


def trained(
    factor: Callable[[int], float], steps: int, precision: str = "fp16"
) -> tuple[dict[str, float], Optimiser, list[torch.Tensor]]:
    method = Method(MethodConfig(), build_encoder(SmallConfig(width=8), seed=0))
    optimiser = Optimiser(method, TrainConfig(lr=1e-4, precision=precision), 2, CPU)  # type: ignore[arg-type]
    weights = next(method.parameters())
    history = []
    for step in range(steps):
        optimiser({"own": (weights * factor(step)).sum(), "other": weights.square().sum()})
        history.append(weights.detach().clone())
    return finite_losses(method, optimiser, "mine", StageProgress(0, 2, 0, steps, 0)), optimiser, history


def test_a_step_that_is_not_finite_is_skipped_counted_and_left_out_of_the_mean() -> None:
    losses, optimiser, weights = trained(lambda step: INF if step == 1 else 1.0, steps=4)
    assert optimiser.scaler.skipped_steps == 1
    assert torch.equal(weights[1], weights[0])
    assert not torch.equal(weights[2], weights[1])
    others = [weights[0], weights[0], weights[2]]  # weights that steps 1, 2 and 3 start from
    squares = [float(w.square().sum()) for w in others]
    plain, _, start = trained(lambda step: 1.0, steps=1)
    assert losses["other"] == pytest.approx((plain["other"] + sum(squares)) / 4)
    own = [float(w.sum()) for w in (weights[0], weights[2])]
    assert losses["own"] == pytest.approx((plain["own"] + sum(own)) / 3, rel=1e-4), "the infinite loss does not count"
    assert torch.equal(start[0], weights[0])
    assert optimiser.end_epoch() == 4
    assert optimiser.scaler.skipped_steps == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_without_a_scale_it_ends_the_training(precision: str) -> None:
    with pytest.raises(UsageError, match=r"training diverged in epoch 1 .*'own' was the first, in step 2"):
        trained(lambda step: INF if step == 1 else 1.0, 4, precision)


def test_many_skipped_steps_in_a_row_end_the_training() -> None:
    trained(lambda step: INF if step < 16 else 1.0, LONGEST + 2)
    message = rf"{LONGEST} steps in a row were skipped.*train\.precision=bf16 or fp32, or .*'own' was not finite"
    with pytest.raises(UsageError, match=message):
        trained(lambda step: INF if step < LONGEST else 1.0, LONGEST + 2)


def test_a_scale_below_the_floor_ends_the_training() -> None:
    with pytest.raises(UsageError, match=r"the loss scale of fp16 has fallen to 0\.5"):
        trained(lambda step: INF if step < 17 else 1.0, 18)
    assert FLOOR == 2.0**16 / 2**16


def test_a_loss_without_gradient_that_is_not_finite_is_not_hidden() -> None:
    method = Method(MethodConfig(), build_encoder(SmallConfig(width=8), seed=0))
    optimiser = Optimiser(method, TrainConfig(precision="fp16"), 2, CPU)
    optimiser({"own": next(method.parameters()).sum(), "constant": torch.tensor(INF)})
    with pytest.raises(UsageError, match="constant"):
        finite_losses(method, optimiser, "mine", StageProgress(0, 2, 0, 1, 0))


def test_statistics_and_memories_are_mended_after_a_skipped_step_only() -> None:
    module, weight = nn.BatchNorm1d(3), nn.Parameter(torch.ones(3))
    module.register_buffer("rows", torch.ones(2, 3))
    adam, scaler = torch.optim.Adam([weight]), LossScaler(CPU, enabled=True)

    def step(images: torch.Tensor, rows: float) -> None:
        for _ in scaler.steps(module, 1):
            adam.zero_grad()
            scaler.scale((module(images) * weight).square().sum()).backward()
            scaler.step(adam)
            module.rows = torch.full((2, 3), rows)

    step(torch.randn(4, 3), 2.0)
    kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
    step(torch.full((4, 3), INF), float("nan"))
    assert scaler.skipped_steps == 1
    for name in ("running_mean", "running_var", "rows"):
        assert torch.equal(dict(module.named_buffers())[name], kept[name]), name
    step(torch.randn(4, 3), float("nan"))
    assert module.rows.isnan().all(), "without a skipped step, nothing is hidden"


def test_the_state_continues() -> None:
    one, two = LossScaler(CPU, enabled=True), LossScaler(CPU, enabled=True)
    weight = nn.Parameter(torch.ones(1))
    adam = torch.optim.Adam([weight])
    one.scale((weight * INF).sum()).backward()
    one.step(adam)
    two.load(one.state())
    assert float(two.scale(torch.ones(()))) == float(one.scale(torch.ones(()))) == 2.0**15


def test_a_run_in_fp16_survives_an_overflow_and_notes_it(
    tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, calls = ClusterContrast.loss, []

    def overflowing(self: ClusterContrast, batch: Batch, progress: StageProgress) -> Losses:
        found = loss(self, batch, progress)
        calls.append(progress.step)
        if progress.step == 1:
            self.visible_memory.rows = self.visible_memory.rows + INF  # as an infinite feature would
            found = {name: value * INF for name, value in found.items()}
        return found

    monkeypatch.setattr(ClusterContrast, "loss", overflowing)
    sizes = ["epochs=2", "iterations=3", "visible_clusters=2", "infrared_clusters=2", "precision=fp16"]
    settings = {
        **parse_settings([f"train.{size}" for size in sizes]),
        "method.k1": 6,
        "method.eps": 0.5,
        "encoder.width": 8,
    }
    experiment = Experiment(
        "cluster_contrast", "sysu_all", str(tiny_people["sysu"]), settings=settings, device="cpu", output=tmp_path
    )
    run = experiment.prepare()
    record = execute(run)
    assert record is not None
    assert len(calls) == 6
    epochs = [line for line in run.every_plan[0].entries() if line["kind"] == "epoch"]
    skipped = [line["skipped_steps"] for line in epochs]
    assert all(1 <= number < 3 for number in skipped)
    scale = last_checkpoint(run, run.every_plan[0]).optimiser["scaler"]["scale"]
    assert scale == 2.0 ** (16 - sum(skipped)), "each skipped step halves the scale"
    assert record.provenance["numerics"]["precision"] == "fp16"
    assert record.provenance["stages"][0]["starts"][0]["numerics"] == record.provenance["numerics"]
    assert faults(record, ranked=False) == []
    changed = replace(record, provenance={**record.provenance, "numerics": {"precision": "bf16"}})
    assert faults(changed, ranked=False) == ["provenance.numerics.precision: 'bf16', but the settings have fp16"]
