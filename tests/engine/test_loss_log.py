"""Losses of an epoch: means and first failures are those of a plain loop."""

from __future__ import annotations

import math

import pytest
import torch

from usvi_bench.engine.loss_log import LossLog

STEPS = [{"a": 1.5, "b": -2.0}, {"a": 0.25}, {"b": math.inf, "a": 3.0}, {"a": 0.1, "b": -math.inf}]


def logged(steps: list[dict[str, float]], read_every_step: bool) -> LossLog:
    log = LossLog()
    for losses in steps:
        log.add(tuple(losses), torch.tensor(list(losses.values())))
        if read_every_step:
            log.means()
    return log


@pytest.mark.parametrize("read_every_step", [True, False])
def test_means_are_sums_over_the_steps_that_computed_a_loss(read_every_step: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    steps = [{"a": torch.rand(1, generator=draw).item(), "b": 0.5 * step} for step in range(50)]
    found = logged([*steps, {"b": 1.0}], read_every_step).means()
    total = torch.zeros(())
    for losses in steps:
        total = total + torch.tensor(losses["a"])
    assert found["a"] == float(total) / 50
    assert found["b"] == pytest.approx((sum(0.5 * step for step in range(50)) + 1) / 51)


def test_the_first_failure_of_each_loss_is_found() -> None:
    log = logged(STEPS, read_every_step=False)
    assert log.first_failures() == {"b": 2}
    assert math.isnan(log.means()["b"])
    assert log.means()["a"] == pytest.approx(4.85 / 4)


def test_no_steps_have_no_means() -> None:
    assert LossLog().means() == LossLog().first_failures() == {}
