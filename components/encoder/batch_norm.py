"""Batch normalisation over parts of a batch, as with one replica per part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from usvi_bench.core.distributed.batch_norm import synchronised_batch_norm
from usvi_bench.core.distributed.collectives import world_size


class GroupedBatchNorm(_BatchNorm):
    """Batch normalisation over equal contiguous parts of the batch, for maps and for vectors.

    Each part is normalised by its own statistics; the running statistics follow part 0 only. This is what one
    replica per part under ``torch.nn.DataParallel`` computes. One part is plain batch normalisation.

    With several processes, each holds a contiguous share of the parts, or several of them share a part. The statistics
    and results are those of one process, except for floating-point order.

    Args:
        features: number of channels.
        groups: number of parts of the whole batch.
    """

    def __init__(self, features: int, groups: int = 1) -> None:
        super().__init__(features)
        self.groups = groups

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept maps ``[B, C, H, W]`` and vectors ``[B, C]``."""

    def forward(self, x: Tensor) -> Tensor:
        processes = world_size()
        if self.training and self.groups < processes:
            return synchronised_batch_norm(x, self, processes // self.groups)
        if not self.training or self.groups == processes:
            return super().forward(x)
        first, *rest = x.chunk(self.groups // processes)
        others = [F.batch_norm(part, None, None, self.weight, self.bias, True, eps=self.eps) for part in rest]
        return torch.cat([super().forward(first), *others])
