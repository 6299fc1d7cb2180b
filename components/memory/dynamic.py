"""Memory of dynamic prototypes: random samples of each cluster, replaced whenever a batch holds the cluster.

PCLHD (https://arxiv.org/abs/2402.19026; shijiangming1/PCLHD @c1f7b24), whose contrast of the farthest slot of the own
cluster with the nearest slots of other clusters comes from HHCL (bupt-ai-cz/HHCL-ReID).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.unit import unit
from usvi_bench.core.types import OUTLIER


class DynamicMemory(nn.Module):
    """Memory of dynamic prototypes: S slots for each cluster, which hold unit features of samples.

    Args:
        features: ``[N, D]`` features of any length.
        members: ``[S, C]`` rows of ``features`` in the slots of each cluster; see :func:`draw_members`.
        temperature: divides the cosine similarities.

    Attributes:
        slots: ``[S, C, D]`` unit features without gradient [E].
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
        """Build a memory of random members of each cluster, drawn with replacement; outliers (-1) are left out."""
        return cls(features, draw_members(labels, slots, generator)[1], temperature)

    def draw_slot(self, generator: torch.Generator) -> Tensor:
        """Draw a random slot of each cluster ``[C]``; see :meth:`loss_of_one`. The generator is on their device."""
        slots, clusters = self.slots.shape[:2]
        return torch.randint(slots, (clusters,), generator=generator, device=self.slots.device)

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Contrast features with the slots: D = CE(z / tau, y), z_k = min_s f . E_sk if k = y, else max_s f . E_sk.

        The formula is that of the released code (shijiangming1/PCLHD @c1f7b24).

        Args:
            features: ``[B, D]`` features of any length; f are the normalised ones.
            labels: ``[B]`` clusters [y].
        """
        with torch.autocast(features.device.type, enabled=False):
            similar = unit(features.float())
            scores = (similar @ self.slots.flatten(0, 1).t()).unflatten(1, self.slots.shape[:2])
            return self._contrast(scores.amin(dim=1), scores.amax(dim=1), labels)

    def loss_of_one(self, features: Tensor, labels: Tensor, slot: Tensor, others: Tensor | None = None) -> Tensor:
        """Contrast features with one slot of each cluster: D = CE(z, y), z_k = f . E_sk / tau with s = slot[k].

        Args:
            features: ``[B, D]`` features of any length; f are the normalised ones.
            labels: ``[B]`` clusters [y].
            slot: ``[C]`` slot of each cluster.
            others: ``[C, D]`` unit rows in place of the slots for all clusters but the own one; None for slots.
        """
        with torch.autocast(features.device.type, enabled=False):
            similar = unit(features.float())
            own = similar @ self.slots[slot, torch.arange(len(slot), device=slot.device)].t()
            return self._contrast(own, own if others is None else similar @ others.t(), labels)

    def _contrast(self, own: Tensor, other: Tensor, labels: Tensor) -> Tensor:
        mine = labels[:, None] == torch.arange(self.slots.shape[1], device=labels.device)
        return F.cross_entropy(torch.where(mine, own, other) / self.temperature, labels)

    @torch.no_grad()
    def refresh(self, features: Tensor, clusters: Tensor, members: Tensor) -> None:
        """Replace all slots of the clusters in a batch; see :func:`draw_mates`.

        Args:
            features: ``[B, D]`` features of any length.
            clusters: ``[P]`` clusters of the batch; one may occur several times, with equal members.
            members: ``[S, P]`` rows of ``features`` for the slots of these clusters.
        """
        self.slots = self.slots.index_copy(1, clusters, unit(features.float())[members])


def draw_members(labels: Tensor, slots: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw random samples of each cluster, uniformly with replacement.

    Args:
        labels: ``[N]`` clusters; outliers (-1) are left out.
        slots: number of draws from each cluster [S].
        generator: generator of all draws, on the CPU.

    Returns:
        The clusters that occur ``[P]``, in ascending order, and the drawn rows of ``labels`` ``[S, P]``.
    """
    kept = (labels != OUTLIER).nonzero().squeeze(1)
    shuffled = kept[torch.randperm(len(kept), generator=generator).to(kept.device)]
    order = shuffled[labels[shuffled].argsort(stable=True)]
    clusters, sizes = labels[order].unique_consecutive(return_counts=True)
    draws = torch.rand(slots, len(sizes), generator=generator, dtype=torch.float64).to(kept.device)
    return clusters, order[sizes.cumsum(0) - sizes + (draws * sizes).long()]


def draw_mates(labels: Tensor, slots: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw random samples of the clusters in a batch, without asking the device which clusters these are.

    Samples of a cluster with at least ``slots`` samples are drawn without replacement, of others with replacement.

    Args:
        labels: ``[B]`` clusters.
        slots: number of draws from each cluster [S].
        generator: generator of all draws, on the device of the labels.

    Returns:
        The labels in ascending order ``[B]``, and draws ``[S, B]`` from the cluster of each, equal for equal labels.
    """
    shuffled = torch.randperm(len(labels), generator=generator, device=labels.device)
    ordered, order = labels[shuffled].sort(stable=True)
    starts, stops = (torch.searchsorted(ordered, ordered, right=right) for right in (False, True))
    draws = torch.rand(slots, len(labels), generator=generator, device=labels.device, dtype=torch.float64)
    anywhere = (draws[:, starts] * (stops - starts)).long()
    places = torch.arange(slots, device=labels.device)[:, None].where(stops - starts >= slots, anywhere)
    return ordered, shuffled[order[starts + places]]
