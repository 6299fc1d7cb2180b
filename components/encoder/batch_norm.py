"""Batch normalisation over parts of a batch, as with one replica per part."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from usvi_bench.core.distributed.batch_norm import synchronised_batch_norm
from usvi_bench.core.distributed.collectives import world_size


class GroupedBatchNorm(_BatchNorm):
    """Batch normalisation over equal contiguous parts of the batch, for maps and for vectors.

    Each part is normalised by its own statistics; the running statistics follow part 0 only. This is what one
    replica per part under ``torch.nn.DataParallel`` computes. One part is plain batch normalisation.

    With several processes, each holds a contiguous share of the parts, or several of them share a part. The statistics
    and results are those of one process, except for floating-point order.

    The forward pass does not change ``num_batches_tracked``. :func:`count_batch` advances the counters of all layers of
    a network at once, because an operation for each takes longer to start than to run on a GPU.

    Args:
        features: number of channels.
        groups: number of parts of the whole batch.
    """

    def __init__(self, features: int, groups: int = 1) -> None:
        super().__init__(features)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        processes = world_size()
        if self.training and self.groups < processes:
            return synchronised_batch_norm(x, self, processes // self.groups)
        if not self.training or self.groups == processes:
            return self._normalise(x)
        first, *rest = x.chunk(self.groups // processes)
        others = [F.batch_norm(part, None, None, self.weight, self.bias, True, eps=self.eps) for part in rest]
        return torch.cat([self._normalise(first), *others])

    def _normalise(self, x: Tensor) -> Tensor:
        """Normalise a batch as one part, and update the running statistics in training."""
        assert self.momentum is not None
        mean, var = self.running_mean, self.running_var
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)


@torch.no_grad()
def count_batch(layers: Iterable[GroupedBatchNorm]) -> None:
    """Advance the batch counters of layers, in one operation."""
    counters = [layer.num_batches_tracked for layer in layers if layer.num_batches_tracked is not None]
    torch._foreach_add_(counters, 1)


def batch_norms(module: nn.Module) -> list[GroupedBatchNorm]:
    """List the layers of a module that :func:`count_batch` counts for."""
    return [layer for layer in module.modules() if isinstance(layer, GroupedBatchNorm)]
