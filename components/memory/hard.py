"""Memory with a centroid and a hard prototype for each cluster, as in PCLHD.

https://arxiv.org/abs/2402.19026; shijiangming1/PCLHD @c1f7b24, whose memory comes from HHCL (bupt-ai-cz/HHCL-ReID).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.rules import hardest_mate, mates, mean_of_mates
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

    state = "prototypes"
    prototypes: Tensor
    """``[2, C, D]``: centroids, hard prototypes."""
    weights: Tensor
    hinges: Tensor

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
        super().__init__(torch.stack([rows, rows if hard is None else hard]), temperature, momentum, "mean")
        self.register_buffer(
            "weights", rows.new_tensor([centre_weight, hard_weight], dtype=torch.float32), persistent=False
        )
        self.register_buffer("hinges", rows.new_tensor([hinge, 0.0], dtype=torch.float32), persistent=False)

    @property
    def rows(self) -> Tensor:  # type: ignore[override]
        """Centroids ``[C, D]``."""
        return self.prototypes[0]

    @property
    def hard(self) -> Tensor:
        """Hard prototypes ``[C, D]``."""
        return self.prototypes[1]

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
            similarity = unit(features.float()) @ self.prototypes.flatten(0, 1).t()
            return self.hinged_loss(similarity, labels, unmatched)

    def hinged_loss(self, similarity: Tensor, labels: Tensor, unmatched: bool = False) -> Tensor:
        """Compute the loss from cosine similarities ``[B, 2 C]`` to the centroids and to the hard prototypes."""
        logits, both = (similarity / self.temperature).view(2 * len(labels), -1), labels[:, None].expand(-1, 2)
        each = F.cross_entropy(logits, both.flatten(), ignore_index=OUTLIER, reduction="none").view(-1, 2)
        losses = each.sum(dim=0) / (labels != OUTLIER).sum().clamp(min=1) if unmatched else each.mean(dim=0)
        return (losses - self.hinges).relu() @ self.weights  # a cross-entropy is never negative

    def moved(self, state: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """Compute updated prototypes: c_k = unit(mu c_k + (1 - mu) mean f), h_k = unit(mu h_k + (1 - mu) f*).

        f* is the sample of cluster k in the batch that is least similar to c_k before the update.
        """
        own, together = state[:, labels], mates(labels)
        farthest = features[hardest_mate(own[0], features, together)]
        targets = torch.stack([mean_of_mates(features, together), farthest])
        return state.index_copy(1, labels, F.normalize(torch.lerp(targets, own, self.momentum), dim=2))


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
