"""Learning rates per epoch, compared with the formulas; a resumed stage continues its schedule."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import LR_SCHEDULES
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.lr_schedules import make_schedule


def start(train: TrainConfig, epochs: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=train.lr)
    return optimizer, make_schedule(optimizer, train, epochs)


def rates(train: TrainConfig, epochs: int) -> list[float]:
    optimizer, schedule = start(train, epochs)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_steps_are_the_default() -> None:
    expected = [3.5e-4 * 0.1 ** (epoch // 20) for epoch in range(50)]
    assert rates(TrainConfig(), 50) == pytest.approx(expected)


@pytest.mark.parametrize("final", [0.0, 0.01, 1.0])
def test_cosine_is_half_a_cosine(final: float) -> None:
    train = TrainConfig(lr=0.1, lr_schedule="cosine", lr_final=final)
    expected = [0.1 * (final + (1 - final) * (1 + math.cos(math.pi * epoch / 12)) / 2) for epoch in range(12)]
    assert rates(train, 12) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_a_warm_up_rises_in_a_line_and_then_the_schedule_begins(schedule: str) -> None:
    plain = TrainConfig(lr=0.1, lr_schedule=schedule)
    warm = replace(plain, lr_warmup=4, lr_warmup_factor=0.2)
    rising = [0.1 * (0.2 + 0.8 * epoch / 4) for epoch in range(4)]
    assert rates(warm, 16) == pytest.approx([*rising, *rates(plain, 12)])


def test_a_stage_that_is_shorter_than_its_warm_up_still_reaches_the_rate() -> None:
    assert rates(TrainConfig(lr=0.1, lr_warmup=10, lr_warmup_factor=0.5), 3) == pytest.approx([0.05, 0.075, 0.1])
    assert rates(TrainConfig(lr=0.1, lr_warmup=10), 1) == pytest.approx([0.1])


@pytest.mark.parametrize("schedule", ["step", "cosine"])
@pytest.mark.parametrize("done", [2, 4, 5])
def test_a_restored_schedule_goes_on_where_it_was(schedule: str, done: int) -> None:
    train, epochs = TrainConfig(lr=0.1, lr_schedule=schedule, lr_warmup=4), 10
    whole = rates(train, epochs)
    optimizer, first = start(train, epochs)
    for _ in range(done):
        optimizer.step()
        first.step()
    other, second = start(train, epochs)
    other.load_state_dict(optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    rest = []
    for _ in range(done, epochs):
        rest.append(other.param_groups[0]["lr"])
        other.step()
        second.step()
    assert rest == pytest.approx(whole[done:])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lr_schedule": "cosin"}, "unknown learning-rate schedule 'cosin': did you mean cosine"),
        ({"lr_final": 1.5}, "train.lr_final=1.5 must be from 0 to 1"),
        ({"lr_warmup": -1}, "lr_warmup=-1 must be from 0 to"),
        ({"lr_warmup_factor": 0.0}, "train.lr_warmup_factor=0.0 must be above 0"),
    ],
)
def test_a_wrong_setting_is_named(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig(**changed)  # type: ignore[arg-type]


def test_a_schedule_that_is_none_is_refused() -> None:
    LR_SCHEDULES.register("nothing")(lambda optimizer, train, epochs: None)
    try:
        with pytest.raises(
            UsageError, match="the learning-rate schedule 'nothing' returned NoneType; return a scheduler"
        ):
            start(TrainConfig(lr_schedule="nothing"), 3)
    finally:
        LR_SCHEDULES.forget("nothing")
