"""Batch normalisation with statistics over several processes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.modules._functions import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm

from usvi_bench.core.distributed.collectives import world_size
from usvi_bench.core.errors import UsageError


def check_parts(parts: int) -> None:
    """Check that the number of batch-norm parts divides the number of processes, or the reverse.

    Raises:
        UsageError: neither number divides the other.
    """
    if parts % world_size() and world_size() % parts:
        raise UsageError(
            f"encoder.bn_groups={parts} on {world_size()} processes: one must divide the other; "
            "give --set encoder.bn=sync or encoder.bn=per_gpu"
        )


def parts_fit(sizes: Sequence[int], parts: int) -> bool:
    """Return whether the batch sizes of all modalities are divisible by the parts and by the number of processes."""
    return all(size % parts == 0 and size % world_size() == 0 for size in sizes)


class _Sum(torch.autograd.Function):
    """Sum over a group of processes; gradients are summed likewise."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        ctx.group = group
        total = values.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


def synchronised_batch_norm(x: Tensor, norm: _BatchNorm, processes: int) -> Tensor:
    """Normalise a training batch by the statistics over several neighbouring processes.

    On a GPU this calls torch's ``SyncBatchNorm``. That has no CPU kernel, so a CPU evaluates the formula.

    Args:
        x: ``[B, C, ...]`` rows of this process.
        norm: layer with weights and constants; its running statistics are updated, but not its counter of batches.
        processes: number of processes that share the statistics.
    """
    group = _neighbours(processes)
    momentum = 0.1 if norm.momentum is None else norm.momentum
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    if x.is_cuda:
        whole = group or dist.group.WORLD
        normed: Tensor = SyncBatchNorm.apply(x, norm.weight, norm.bias, mean, var, norm.eps, momentum, whole, processes)
        return normed
    precision, x = x.dtype, x.float()  # bf16 would round counts and running statistics
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
    number = x.new_tensor([x.numel() / x.shape[1]])
    sums = _summed(torch.cat([x.sum(axes), number]), group)
    size = float(sums[-1].detach())
    centre = sums[:-1] / size
    centred = x - centre.view(shape)
    spread = _summed(centred.square().sum(axes), group) / size
    with torch.no_grad():
        mean.lerp_(centre, momentum)
        var.lerp_(spread * size / (size - 1), momentum)
    scale = norm.weight * (spread + norm.eps).rsqrt()
    return (centred * scale.view(shape) + norm.bias.view(shape)).to(precision)


def _summed(values: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    total: Tensor = _Sum.apply(values, group)  # type: ignore[no-untyped-call]
    return total


@lru_cache
def _neighbours(processes: int) -> dist.ProcessGroup | None:
    """Return the group of ``processes`` consecutive ranks that includes this process; None for all processes."""
    if processes == world_size():
        return None
    group: dist.ProcessGroup = dist.new_subgroups(processes)[0]
    return group
