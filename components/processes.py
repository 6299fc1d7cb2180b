"""Several processes that train one encoder: whose rows of a batch are whose, and what is computed over all of them.

The processes are those of ``torch.distributed``; where it was not started there is one. All of them draw the same batch
and hold the same memories. Each embeds its share of the batch, a contiguous part of either modality's rows, and
:func:`join` gives everybody all features: losses and memory updates are the same everywhere, whatever the method. A
gradient goes back to a process's own rows, so that the encoder's gradients of all processes add up to the gradient of
the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.modules._functions import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm

from engine.registry import UsageError


def count() -> int:
    """Processes that train together; 1 where ``torch.distributed`` was not started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share(rows: int) -> slice:
    """This process's part of some rows: contiguous, in the order of the processes, as equal as can be.

    Raises:
        UsageError: fewer rows than processes.
    """
    if rows < count():
        raise UsageError(
            f"a batch of {rows} images of a modality cannot be shared by {count()} processes; "
            "raise --set train.instances or start fewer processes"
        )
    rank = dist.get_rank()
    return slice(rank * rows // count(), (rank + 1) * rows // count())


def check_parts(parts: int) -> None:
    """Refuse parts of batch normalisation that processes can neither hold whole nor share evenly.

    Raises:
        UsageError: neither number divides the other.
    """
    if parts % count() and count() % parts:
        raise UsageError(
            f"encoder.bn_groups={parts} on {count()} processes: one must divide the other; "
            "give --set encoder.bn=sync or encoder.bn=per_gpu"
        )


def join(rows: Tensor, own: slice, total: int) -> Tensor:
    """All processes' rows ``[total, D]`` from this one's; its gradient is the one of its own rows."""
    joined: Tensor = _Join.apply(rows, own, total)  # type: ignore[no-untyped-call]
    return joined


class _Join(torch.autograd.Function):
    """Every process fills its rows of a zero matrix; the sum works for shares of unequal length, on every backend."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, own: slice, total: int) -> Tensor:
        ctx.own = own
        whole = rows.new_zeros(total, *rows.shape[1:])
        whole[own] = rows
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.own].contiguous(), None, None


class _Sum(torch.autograd.Function):
    """Sum over a group of processes, each of which goes on with it: gradients are summed likewise."""

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
    """Batch normalisation in training over the rows of so many neighbouring processes.

    On a GPU by torch's own kernels, which do not run on a CPU; there by the formula.

    Args:
        x: ``[B, C, ...]`` this process's rows.
        norm: weights, running statistics (which move) and constants.
        processes: how many share the statistics.
    """
    group = _neighbours(processes)
    momentum = 0.1 if norm.momentum is None else norm.momentum
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    if x.is_cuda:
        whole = group or dist.group.WORLD
        normed: Tensor = SyncBatchNorm.apply(x, norm.weight, norm.bias, mean, var, norm.eps, momentum, whole, processes)
        return normed
    precision, x = x.dtype, x.float()  # counts and running statistics need all digits
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
    """The group of so many neighbouring processes that holds this one; None for all."""
    if processes == count():
        return None
    group: dist.ProcessGroup = dist.new_subgroups(processes)[0]
    return group


def sizes_fit(sizes: Sequence[int], parts: int) -> bool:
    """Whether every modality's rows fill equal parts whose borders are borders of processes, or lie within one."""
    return all(size % parts == 0 and size % count() == 0 for size in sizes)
