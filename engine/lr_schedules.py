"""Learning-rate schedules of a stage, by name: ``train.lr_schedule``.

A schedule is a function that is registered with :data:`~usvi_bench.core.registry.LR_SCHEDULES`. It receives the
optimiser, the settings and the number of epochs after the warm-up. It returns one of torch's schedulers, which advances
once per epoch.
"""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR, StepLR

from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import LR_SCHEDULES
from usvi_bench.engine.config import TrainConfig


@LR_SCHEDULES.register("step")
def step(optimizer: Optimizer, train: TrainConfig, epochs: int) -> LRScheduler:
    """Multiply the learning rate by ``lr_factor`` each time the fraction ``lr_step`` of the epochs has passed."""
    return StepLR(optimizer, train.drop_epochs(epochs), train.lr_factor)


@LR_SCHEDULES.register("cosine")
def cosine(optimizer: Optimizer, train: TrainConfig, epochs: int) -> LRScheduler:
    """Lower the learning rate to ``lr_final`` times its start along half a cosine.

    Loshchilov and Hutter, SGDR, ICLR 2017 (https://arxiv.org/abs/1608.03983), without restarts. The final value is
    reached after the last epoch, so no epoch is trained with it.
    """
    return CosineAnnealingLR(optimizer, epochs, eta_min=train.lr * train.lr_final)


def make_schedule(optimizer: Optimizer, train: TrainConfig, epochs: int) -> LRScheduler:
    """Build the schedule that the settings name, after their linear warm-up.

    Args:
        optimizer: optimiser whose learning rate is the one after the warm-up.
        train: settings of the stage.
        epochs: length of the stage; the warm-up takes at most one epoch less.

    Raises:
        UsageError: a plug-in's schedule returned no scheduler.
    """
    warmup = min(train.lr_warmup, epochs - 1)
    schedule: Any = LR_SCHEDULES.get(train.lr_schedule)(optimizer, train, epochs - warmup)
    if not isinstance(schedule, LRScheduler):
        raise UsageError(
            f"the learning-rate schedule '{train.lr_schedule}' returned {type(schedule).__name__}; "
            "return a scheduler of torch.optim.lr_scheduler"
        )
    if not warmup:
        return schedule
    rising = LinearLR(optimizer, train.lr_warmup_factor, total_iters=warmup)
    return SequentialLR(optimizer, [rising, schedule], milestones=[warmup])
