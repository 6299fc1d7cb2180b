"""Losses that are not finite: the message names the first one, with a remedy that fits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import StageProgress
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.divergence import finite_losses
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.methods.base import Method, MethodConfig


def trained(factor: Callable[[int], float], epoch: int = 0, second: bool = True) -> dict[str, float]:
    method = Method(MethodConfig(), build_encoder(SmallConfig(width=8), seed=0))
    optimiser = Optimiser(method, TrainConfig(lr=1e-4), 2, torch.device("cpu"))
    weights = next(method.parameters())
    for step in range(3):
        losses = {"own": (weights * factor(step)).sum()}
        optimiser({**losses, "other": weights.square().sum()} if second else losses)
    return finite_losses(method, optimiser, "mine", StageProgress(epoch, 2, 0, 3, 0))


def test_finite_losses_are_returned() -> None:
    assert trained(lambda step: 1.0).keys() == {"own", "other"}


@pytest.mark.parametrize("second", [True, False])
def test_a_loss_that_is_wrong_from_the_start_is_no_matter_of_the_rate(second: bool) -> None:
    with pytest.raises(UsageError) as found:
        trained(lambda step: float("nan"), second=second)
    assert "stage 'mine' (losses: own nan" in str(found.value)
    assert str(found.value).endswith(
        "the loss 'own' was not finite before any update: check how the method computes it"
    )


def test_the_first_wrong_loss_is_named() -> None:
    for epoch in (0, 1):
        with pytest.raises(
            UsageError, match=r"the loss 'own' was the first, in step 2: check .*, or lower --set train\.lr"
        ):
            trained(lambda step: float("inf") if step else 1.0, epoch)


def test_a_divergence_of_all_losses_is_a_matter_of_the_rate() -> None:
    with pytest.raises(UsageError, match=r"\); lower --set train\.lr \(now 0\.0001\)"):
        trained(lambda step: float("nan") if step else 1.0, second=False)
