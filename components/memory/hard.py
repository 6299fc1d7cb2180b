"""Memory with a centroid and a hard prototype for each cluster, as in PCLHD.

https://arxiv.org/abs/2402.19026; shijiangming1/PCLHD @c1f7b24, whose memory comes from HHCL (bupt-ai-cz/HHCL-ReID).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from usvi_bench.components.memory.cluster import (
    ClusterMemory,
    cross_entropy,
    hardest_mate,
    mates,
    mean_of_mates,
    momentum_step,
)
from usvi_bench.components.unit import unit
from usvi_bench.core.types import OUTLIER


class HardMemory(ClusterMemory):
    """Memory of centroids [c] and hard prototypes [h]; a hard prototype follows the samples farthest from the centroid.

    Args:
        rows: ``[C, D]`` start of the centroids, normalised here.
        hard: ``[C, D]`` start of the hard prototypes, or None to start at the centroids.
        temperature: divides the cosine similarities.
        momentum: weight of the old row in an update.
        centre_weight: weight of the contrast with the centroids.
        hard_weight: weight of the contrast with the hard prototypes.
        hinge: value of the contrast with the centroids below which it gives no gradient.
    """

    hard: Tensor
    parts = ("rows", "hard")

    def __init__(
        self,
        rows: Tensor,
        hard: Tensor | None = None,
        temperature: float = 0.05,
        momentum: float = 0.1,
        centre_weight: float = 0.5,
        hard_weight: float = 0.5,
        hinge: float = 0.2,
    ) -> None:
        super().__init__(rows, temperature, momentum, "mean")
        start = rows if hard is None else hard
        self.register_buffer("hard", F.normalize(start.detach().float(), dim=1), persistent=False)
        self.centre_weight, self.hard_weight, self.hinge = centre_weight, hard_weight, hinge

    def loss(self, features: Tensor, labels: Tensor, unmatched: bool = False) -> Tensor:
        """Contrast features with both prototypes: ``w_h CE(h.f / tau, y) + w_c max(CE(c.f / tau, y) - hinge, 0)``.

        ``w_h`` is ``hard_weight`` and ``w_c`` ``centre_weight``. Each cross-entropy CE is a mean over the batch. The
        formula is that of the released code (shijiangming1/PCLHD @c1f7b24).

        Args:
            features: ``[B, D]`` features of any length; f are the normalised ones.
            labels: ``[B]`` clusters [y].
            unmatched: some labels may be -1; these samples take no part.
        """
        with torch.autocast(features.device.type, enabled=False):
            similar = unit(features.float())
            return self.hinged_loss(similar @ self.rows.t(), similar @ self.hard.t(), labels, unmatched)

    def hinged_loss(self, centre: Tensor, hard: Tensor, labels: Tensor, unmatched: bool = False) -> Tensor:
        """Compute the loss from cosine similarities ``[B, C]`` to the centroids and to the hard prototypes."""
        to_centre = cross_entropy(centre / self.temperature, labels, unmatched)
        to_hard = cross_entropy(hard / self.temperature, labels, unmatched)
        return self.hard_weight * to_hard + self.centre_weight * (to_centre - self.hinge).relu()

    def moved(self, parts: Sequence[Tensor], features: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Compute both prototypes after an update: c_k = unit(mu c_k + (1 - mu) mean f), h_k = unit(mu h_k + (1 - mu) f*).

        f* is the sample of cluster k in the batch that is least similar to c_k before the update.
        """
        centres, hard = parts
        together = mates(labels)
        farthest = features[hardest_mate(centres[labels], features, together)]
        return (
            momentum_step(centres, labels, mean_of_mates(features, together), self.momentum),
            momentum_step(hard, labels, farthest, self.momentum),
        )


def farthest_means(features: Tensor, labels: Tensor, rows: Tensor, count: int) -> Tensor:
    """Compute the unit mean of the ``count`` members of each cluster that are least similar to its centroid.

    Args:
        features: ``[N, D]`` features that are not normalised.
        labels: ``[N]`` clusters; outliers (-1) are left out.
        rows: ``[C, D]`` unit centroids.
        count: number of members in the mean; a smaller cluster takes all members.

    Returns:
        ``[C, D]``.
    """
    kept = (labels != OUTLIER).nonzero().squeeze(1)
    nearness = (F.normalize(features[kept]) * rows[labels[kept]]).sum(dim=1)
    ordered = kept[nearness.argsort(stable=True)]
    ordered = ordered[labels[ordered].argsort(stable=True)]
    clusters = labels[ordered]
    place = torch.arange(len(clusters), device=labels.device) - torch.searchsorted(clusters, clusters)
    chosen = ordered[place < count]
    return F.normalize(torch.zeros_like(rows).index_add(0, labels[chosen], features[chosen]))
