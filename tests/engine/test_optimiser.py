"""Losses that a method returns are checked before the step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from usvi_bench.core.errors import UsageError
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.optimiser import Optimiser

WEIGHT = nn.Parameter(torch.ones(3))


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (None, "the loss of the method is None; return a dictionary"),
        ({}, "the loss of the method is {}; return a dictionary"),
        (WEIGHT.sum(), "the loss of the method is tensor"),
        ({"a": 0.5}, "the loss 'a' of the method is 0.5; return named scalar tensors"),
        ({"a": WEIGHT * 2}, "the loss 'a' of the method is tensor"),
        ({3: WEIGHT.sum()}, "the loss 3 of the method is tensor"),
        ({"a": WEIGHT.sum().detach()}, r"no loss of the method has a gradient \(a\)"),
    ],
)
def test_other_losses_than_named_scalars_are_refused(losses: Any, message: str) -> None:
    module = nn.Module()
    module.encoder = nn.Module()
    module.encoder.weight = WEIGHT
    optimiser = Optimiser(module, TrainConfig(), 1, torch.device("cpu"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        optimiser(losses)
