"""A teacher whose weights are a slow average of its student's."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from usvi_bench.core.types import StageProgress

Network = TypeVar("Network", bound=nn.Module)


def make_teacher(student: Network) -> Network:
    """A copy of the student that takes no gradients, in training mode.

    Run it under ``torch.no_grad()``: its batch normalisation then uses the statistics of the batch and keeps running
    statistics of its own, as in PCLHD (shijiangming1/PCLHD @c1f7b24) and DCCC (theziqi/DCCC @102d8ef).
    """
    return deepcopy(student).requires_grad_(False).train()


@torch.no_grad()
def ema_update(teacher: nn.Module, student: nn.Module, coefficient: float) -> None:
    """Move the teacher: ``teacher = coefficient * teacher + (1 - coefficient) * student``.

    Parameters only; buffers are not averaged.
    """
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - coefficient)


def ema_step(teacher: nn.Module, student: nn.Module, window: float, progress: StageProgress) -> None:
    """Move the teacher after a step: a plain mean of all students at first, then a slow average.

    Args:
        teacher: the average.
        student: as the step left it.
        window: length of the average, see :func:`alpha_for`.
        progress: the step.
    """
    ema_update(teacher, student, ema_coefficient(progress.iteration, alpha_for(window, progress.iterations)))


@torch.no_grad()
def copy_batch_norm_statistics(teacher: nn.Module, student: nn.Module) -> None:
    """Give a teacher that sees no batches the student's batch-normalisation statistics, by copying all buffers."""
    torch._foreach_copy_(list(teacher.buffers()), list(student.buffers()))


def ema_coefficient(iteration: int, alpha: float) -> float:
    """Weight of the old teacher at a zero-based iteration: a plain mean of all students at first, then ``alpha``."""
    return min(1 - 1 / (iteration + 1), alpha)


def alpha_for(window: float, iterations: int) -> float:
    """The coefficient that averages over a fraction of a stage: 0.1 of 10,000 iterations is 0.999.

    Args:
        window: length of the average as a fraction of the stage; at one iteration or less the teacher is the student.
        iterations: length of the stage.
    """
    return 1 - 1 / max(window * iterations, 1)
