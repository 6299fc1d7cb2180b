"""Teacher whose weights are an exponential moving average (EMA) of the student's weights."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from usvi_bench.core.types import StageProgress

Network = TypeVar("Network", bound=nn.Module)


def make_teacher(student: Network) -> Network:
    """Copy the student, without gradients and in training mode.

    Run the teacher under ``torch.no_grad()``. Its batch normalisation uses the statistics of the batch and has its own
    running statistics, as in PCLHD (shijiangming1/PCLHD @c1f7b24) and DCCC (theziqi/DCCC @102d8ef).
    """
    return deepcopy(student).requires_grad_(False).train()


@torch.no_grad()
def ema_update(teacher: nn.Module, student: nn.Module, coefficient: float) -> None:
    """Update the parameters of the teacher: teacher = coefficient teacher + (1 - coefficient) student.

    Buffers are not averaged.
    """
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - coefficient)


def ema_step(teacher: nn.Module, student: nn.Module, window: float, progress: StageProgress) -> None:
    """Update the teacher after a step, with the coefficient of :func:`ema_coefficient`.

    Args:
        teacher: network to update.
        student: network after the step of the optimiser.
        window: averaging window as a fraction of the stage, see :func:`alpha_for`.
        progress: current step of the stage.
    """
    ema_update(teacher, student, ema_coefficient(progress.iteration, alpha_for(window, progress.iterations)))


@torch.no_grad()
def copy_batch_norm_statistics(teacher: nn.Module, student: nn.Module) -> None:
    """Give a teacher that embeds no batches the student's batch-normalisation statistics, by copying all buffers."""
    torch._foreach_copy_(list(teacher.buffers()), list(student.buffers()))


def ema_coefficient(iteration: int, alpha: float) -> float:
    """Return the weight of the old teacher at iteration n from 0: min(1 - 1 / (n + 1), alpha).

    The teacher is the mean of all students so far until alpha is reached.

    >>> ema_coefficient(0, 0.999), ema_coefficient(9, 0.999), ema_coefficient(5000, 0.999)
    (0.0, 0.9, 0.999)
    """
    return min(1 - 1 / (iteration + 1), alpha)


def alpha_for(window: float, iterations: int) -> float:
    """Return the coefficient whose averaging window is a fraction of a stage: alpha = 1 - 1 / (window iterations).

    >>> alpha_for(window=0.1, iterations=10_000)
    0.999

    Args:
        window: averaging window as a fraction of the stage; one iteration or less gives 0.
        iterations: number of iterations of the stage.
    """
    return 1 - 1 / max(window * iterations, 1)
