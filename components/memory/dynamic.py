"""A memory of several samples a cluster, drawn anew whenever the cluster is seen: its dynamic prototypes.

PCLHD (https://arxiv.org/abs/2402.19026; shijiangming1/PCLHD @c1f7b24), whose contrast of the farthest slot of the own
cluster with the nearest slots of others comes from HHCL (bupt-ai-cz/HHCL-ReID).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.core.types import OUTLIER


class DynamicMemory(nn.Module):
    """Slots that hold unit features of samples, and the contrast of features with them.

    Args:
        features: ``[N, D]`` samples, of any length.
        members: ``[S, C]`` rows of ``features`` that each cluster's slots start with; see :func:`draw_members`.
        temperature: divides the cosine similarities.

    Attributes:
        slots: ``[S, C, D]`` unit rows, without gradient.
    """

    slots: Tensor

    def __init__(self, features: Tensor, members: Tensor, temperature: float = 0.05) -> None:
        super().__init__()
        self.register_buffer("slots", F.normalize(features.detach().float(), dim=1)[members], persistent=False)
        self.temperature = temperature

    @classmethod
    def of(
        cls, features: Tensor, labels: Tensor, slots: int, temperature: float, generator: torch.Generator
    ) -> DynamicMemory:
        """A memory of random members of each cluster, with replacement; outliers (-1) are left out."""
        return cls(features, draw_members(labels, slots, generator)[1], temperature)

    def draw_slot(self, generator: torch.Generator) -> Tensor:
        """A random slot to stand for each cluster ``[C]``; see :meth:`loss_of_one`."""
        slots, clusters = self.slots.shape[:2]
        return torch.randint(slots, (clusters,), generator=generator).to(self.slots.device)

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy where the own cluster scores by its least similar slot, every other one by its most similar.

        Args:
            features: ``[B, D]``, of any length.
            labels: ``[B]`` clusters.
        """
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(features.float(), dim=1)
            scores = (unit @ self.slots.flatten(0, 1).t()).unflatten(1, self.slots.shape[:2])
            return self._contrast(scores.amin(dim=1), scores.amax(dim=1), labels)

    def loss_of_one(self, features: Tensor, labels: Tensor, slot: Tensor, others: Tensor | None = None) -> Tensor:
        """Cross-entropy where each cluster scores by one slot.

        Args:
            features: ``[B, D]``, of any length.
            labels: ``[B]`` clusters.
            slot: ``[C]`` the slot that stands for each cluster.
            others: ``[C, D]`` unit rows by which all clusters but the own one score instead.
        """
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(features.float(), dim=1)
            own = unit @ self.slots[slot, torch.arange(len(slot), device=slot.device)].t()
            return self._contrast(own, own if others is None else unit @ others.t(), labels)

    def _contrast(self, own: Tensor, other: Tensor, labels: Tensor) -> Tensor:
        mine = labels[:, None] == torch.arange(self.slots.shape[1], device=labels.device)
        return F.cross_entropy(torch.where(mine, own, other) / self.temperature, labels)

    @torch.no_grad()
    def refresh(self, features: Tensor, clusters: Tensor, members: Tensor) -> None:
        """Overwrite all slots of the clusters in a batch.

        Args:
            features: ``[B, D]``, of any length.
            clusters: ``[P]`` clusters of the batch.
            members: ``[S, P]`` rows of ``features`` for their slots.
        """
        self.slots = self.slots.index_copy(1, clusters, F.normalize(features.float(), dim=1)[members])


def draw_members(
    labels: Tensor, slots: int, generator: torch.Generator, *, distinct: bool = False
) -> tuple[Tensor, Tensor]:
    """Random samples of each cluster, uniformly.

    Args:
        labels: ``[N]``; outliers (-1) are left out.
        slots: draws from each cluster (S).
        generator: source of all draws, on the CPU.
        distinct: draw without replacement from clusters that have enough samples.

    Returns:
        The clusters that occur, ascending ``[P]``, and the rows of ``labels`` drawn from each ``[S, P]``.
    """
    kept = (labels != OUTLIER).nonzero().squeeze(1)
    shuffled = kept[torch.randperm(len(kept), generator=generator).to(kept.device)]
    order = shuffled[labels[shuffled].argsort(stable=True)]
    clusters, sizes = labels[order].unique_consecutive(return_counts=True)
    draws = torch.rand(slots, len(clusters), generator=generator, dtype=torch.float64).to(kept.device)
    places = (draws * sizes).long()
    if distinct:
        first = torch.arange(slots, device=kept.device)[:, None]
        places = torch.where(sizes >= slots, first, places)
    return clusters, order[sizes.cumsum(0) - sizes + places]
