"""Values by the rows of a memory at the forward pass, with gradients by its updated rows.

Some released codes update a memory between the two passes, so that the gradient is that of other rows than the value.
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor

from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hard import HardMemory


def similarity_by_moved_rows(features: Tensor, rows: Tensor, later: Tensor) -> Tensor:
    """Compute the cosine of features with rows, ``[B, N]``, with the gradient of the cosine with the updated rows.

    Args:
        features: ``[B, D]``, of any length.
        rows: ``[N, D]`` unit rows at the forward pass, which give the value.
        later: ``[N, D]`` unit rows at the backward pass, which give the gradient.
    """
    unit = F.normalize(features, dim=1)
    moved = unit @ later.detach().t()
    return moved + (unit @ rows.detach().t() - moved).detach()


def loss_by_moved_rows(
    memory: ClusterMemory, features: Tensor, labels: Tensor, moved_by: tuple[Tensor, Tensor, bool]
) -> Tensor:
    """Compute the value of ``memory.loss(features, labels)``, with the gradient for rows that others have updated.

    Args:
        memory: memory of the value; it is not changed.
        features: ``[B, D]``, of any length.
        labels: ``[B]`` clusters.
        moved_by: features, clusters, and whether some clusters are -1, of the update of a copy of the memory, which
            gives the gradient.
    """
    assert isinstance(memory, HardMemory)
    later = deepcopy(memory)
    later.update(*moved_by)
    with torch.autocast(features.device.type, enabled=False):
        rows = F.normalize(features.float(), dim=1)
        before, after = memory.prototypes.flatten(0, 1), later.prototypes.flatten(0, 1)
        similarity = rows @ after.t() + (rows @ (before - after).t()).detach()  # value before, gradient after
        return memory.hinged_loss(similarity, labels)
