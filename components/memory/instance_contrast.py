"""Instance memory with one row for each image, its losses, and its real-time update.

It is the instance level of the hybrid memories of RTMem (PRIS-CV/RTMem, TIP 2023) and DMIC (arXiv 2412.08231, Eq. 18,
19 and 22). In all losses ``logits`` ``[B, M]`` are the similarities of a batch to ``M`` stored images divided by the
temperature, ``labels`` ``[M]`` the clusters of the stored images, and ``own`` ``[B]`` the stored image of each feature.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from usvi_bench.components.memory.rules import random_mate
from usvi_bench.components.unit import unit
from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.types import OUTLIER


class ClusteredInstanceMemory(nn.Module):
    """Clustered instance memory: a unit row for every clustered image; outliers have no row.

    Gradients reach the features only. Rows change in :meth:`update`, which is called after the step of the optimiser.

    Args:
        features: ``[N, D]`` features of all images, normalised here.
        labels: ``[N]`` clusters, numbered from 0; -1 for outliers.
        temperature: divides the cosine similarities [tau].
        loss: name of a loss in ``INSTANCE_LOSSES``.

    Raises:
        UsageError: unknown loss.
    """

    rows: Tensor
    labels: Tensor
    slots: Tensor
    """Row of each image ``[N]``; -1 for outliers."""

    def __init__(self, features: Tensor, labels: Tensor, temperature: float = 0.05, loss: str = "nca") -> None:
        super().__init__()
        if loss not in INSTANCE_LOSSES:
            raise UsageError(f"unknown instance loss '{loss}': {did_you_mean(loss, INSTANCE_LOSSES)}")
        clustered = (labels != OUTLIER).nonzero().squeeze(1)
        slots = torch.full_like(labels, OUTLIER)
        slots[clustered] = torch.arange(len(clustered), device=labels.device)
        rows = F.normalize(features.detach()[clustered].float(), dim=1)
        for name, value in (("rows", rows), ("labels", labels[clustered]), ("slots", slots)):
            self.register_buffer(name, value, persistent=False)
        self.clusters = int(labels.max()) + 1
        self.temperature = temperature
        self._loss = INSTANCE_LOSSES[loss]

    def loss(self, features: Tensor, index: Tensor, generator: Generator) -> Tensor:
        """Contrast features ``[B, D]`` of the clustered images ``index`` ``[B]``, in float32 also under autocast."""
        with torch.autocast(features.device.type, enabled=False):
            logits = unit(features.float()) @ self.rows.t() / self.temperature
            return self._loss(logits, self.labels, self.slots[index], self.clusters, generator)

    @torch.no_grad()
    def update(self, features: Tensor, index: Tensor, generator: Generator) -> None:
        """Replace the row of each image in a batch by a random one of its features."""
        overwrite(self.rows, features, self.slots[index], generator)


def nca_loss(logits: Tensor, labels: Tensor, own: Tensor, clusters: int, generator: Generator) -> Tensor:
    """Compute the loss of neighbourhood component analysis: all images of the own cluster are positives.

    ``-log( sum_{j: labels[j] = labels[own]} exp(logit_j) / sum_j exp(logit_j) )``, as in RTMem's memory (L_I of DMIC's
    HMCL; Eq. 18, 19 and 22).
    """
    mine = labels == labels[own][:, None]
    return (logits.logsumexp(dim=1) - logits.masked_fill(~mine, -torch.inf).logsumexp(dim=1)).mean()


def single_loss(logits: Tensor, labels: Tensor, own: Tensor, clusters: int, generator: Generator) -> Tensor:
    """Contrast with one random image of each cluster, drawn once for the batch: cross-entropy over clusters."""
    return F.cross_entropy(logits[:, random_members(labels, clusters, generator)], labels[own])


def mean_loss(logits: Tensor, labels: Tensor, own: Tensor, clusters: int, generator: Generator) -> Tensor:
    """Contrast with the mean logit of each cluster's images: cross-entropy over clusters."""
    sums = logits.new_zeros(len(logits), clusters).index_add(1, labels, logits)
    sizes = logits.new_zeros(clusters).index_add(0, labels, logits.new_ones(len(labels)))
    return F.cross_entropy(sums / sizes, labels[own])


def self_loss(logits: Tensor, labels: Tensor, own: Tensor, clusters: int, generator: Generator) -> Tensor:
    """Contrast with the own image against all other images: cross-entropy over images."""
    return F.cross_entropy(logits, own)


def random_members(labels: Tensor, count: int, generator: Generator) -> Tensor:
    """Draw a random position in ``labels`` ``[M]`` of each label below ``count``; arbitrary for an absent label."""
    scores = torch.rand(len(labels), generator=generator, device=labels.device, dtype=torch.float64)
    best = scores.new_zeros(count).scatter_reduce(0, labels, scores, "amax", include_self=False)
    position = torch.arange(len(labels), device=labels.device).where(scores == best[labels], len(labels))
    return position.new_full((count,), len(labels) - 1).scatter_reduce(0, labels, position, "amin")


def overwrite(rows: Tensor, features: Tensor, slots: Tensor, generator: Generator) -> None:
    """Update rows in real time: row = unit(f) with f a random one of its features in the batch, without momentum.

    Args:
        rows: ``[M, D]``, changed in place; rows without features stay exactly as they are.
        features: ``[B, D]`` features of any length [f].
        slots: ``[B]`` row of each feature.
        generator: generator of the uniform draws, on the device of the rows.
    """
    rows.index_copy_(0, slots, unit(features.detach().float())[random_mate(slots, generator)])


InstanceLoss = Callable[[Tensor, Tensor, Tensor, int, Generator], Tensor]
INSTANCE_LOSSES: dict[str, InstanceLoss] = {
    "nca": nca_loss,
    "single": single_loss,
    "mean": mean_loss,
    "self": self_loss,
}
"""Losses of an instance memory, by name."""
