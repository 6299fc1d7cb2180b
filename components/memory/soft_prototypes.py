"""Soft prototypes: images near a cluster's centroid, weighted by how near, that the cluster is contrasted by.

Chosen by :func:`nearest_prototypes` (or :func:`random_prototypes`, the control), weighted by :func:`soft_weights` or
:func:`uniform_weights`, and contrasted by one of ``LOSSES``. Throughout: C clusters of K slots, features of D; all
features are unit rows. A cluster may have fewer than K prototypes: its remaining slots repeat them and do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.core.types import OUTLIER

Scope = Literal["cluster", "modality"]


@dataclass(frozen=True)
class PrototypeIndex:
    """Which images are prototypes of which cluster.

    Attributes:
        index: ``[C, K]`` int64 images, nearest first.
        valid: ``[C, K]`` bool: False for a slot that only repeats an earlier one.
    """

    index: Tensor
    valid: Tensor

    def weighted(self, centroids: Tensor, bank: Tensor, temperature: float | None) -> SoftPrototypes:
        """Look up the prototypes in a bank ``[N, D]``; weight by similarity to centroids ``[C, D]``, or uniformly."""
        vectors = bank[self.index]
        if temperature is None:
            return SoftPrototypes(vectors, uniform_weights(self.valid), self.valid)
        return SoftPrototypes(vectors, soft_weights(centroids, vectors, self.valid, temperature), self.valid)


@dataclass(frozen=True)
class SoftPrototypes:
    """The prototypes of all clusters as a batch meets them.

    Attributes:
        vectors: ``[C, K, D]`` unit features.
        weights: ``[C, K]``, rows sum to 1; 0 for slots that do not count.
        valid: ``[C, K]`` bool.
    """

    vectors: Tensor
    weights: Tensor
    valid: Tensor

    def figures(self, centroids: Tensor) -> dict[str, Tensor]:
        """What was chosen and how it is weighted, averaged over clusters of centroids ``[C, D]``.

        Returns:
            Number of prototypes, their effective number ``1 / sum W^2``, entropy of the weights in nats, and similarity
            of the nearest and of the farthest prototype to the centroid.
        """
        similarity = (centroids[:, None] * self.vectors).sum(dim=2)
        return {
            "prototypes": self.valid.sum(dim=1).float().mean(),
            "effective_prototypes": (1 / (self.weights**2).sum(dim=1)).mean(),
            "weight_entropy": torch.special.entr(self.weights).sum(dim=1).mean(),
            "nearest_similarity": similarity.masked_fill(~self.valid, -torch.inf).amax(dim=1).mean(),
            "farthest_similarity": similarity.masked_fill(~self.valid, torch.inf).amin(dim=1).mean(),
        }


def nearest_prototypes(
    centroids: Tensor,
    bank: Tensor,
    labels: Tensor,
    slots: int,
    share: float,
    scope: Scope = "cluster",
    floor: float | None = None,
) -> PrototypeIndex:
    """The images most similar to each centroid, the first ones of equals.

    Args:
        centroids: ``[C, D]``.
        bank: ``[N, D]`` features of all images.
        labels: ``[N]`` clusters, each of the C among them.
        slots: most prototypes of a cluster [K].
        share: most of them as a share of the cluster's images, rounded half up [phi]; one always remains.
        scope: whether images outside the cluster may be its prototypes.
        floor: smallest similarity as a share of the best one [kappa], or None. SDCL keeps neighbours by such a rule
            (yangbincv/SDCL @6033332).
    """
    members = labels == torch.arange(len(centroids), device=labels.device)[:, None]
    similarity = centroids @ bank.T
    if scope == "cluster":
        similarity = similarity.masked_fill(~members, -torch.inf)
    limits = (share * members.sum(dim=1).double() + 0.5).floor().clamp(1, slots).long()
    if floor is not None:
        near = similarity.topk(min(slots, len(bank)), dim=1).values
        limits = torch.minimum(limits, (near >= floor * near[:, :1]).sum(dim=1).clamp(min=1))
    return _select(similarity, limits, slots)


def random_prototypes(labels: Tensor, slots: int, generator: torch.Generator) -> PrototypeIndex:
    """Up to ``slots`` different random images of each cluster, as PCLHD chooses prototypes."""
    scores = torch.rand(len(labels), generator=generator, device=generator.device).to(labels.device)
    sizes = labels[labels != OUTLIER].bincount()
    members = labels == torch.arange(len(sizes), device=labels.device)[:, None]
    return _select(scores.where(members, -torch.inf), sizes.clamp(max=slots), slots)


def _select(scores: Tensor, limits: Tensor, slots: int) -> PrototypeIndex:
    """The ``limits`` ``[C]`` best columns of each row of ``scores`` ``[C, N]``, repeated to fill the slots."""
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :slots]
    slot = torch.arange(slots, device=scores.device)
    return PrototypeIndex(best.gather(1, slot % limits[:, None]), slot < limits[:, None])


def soft_weights(centroids: Tensor, vectors: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """Softmax over a cluster's prototypes of their similarity to its centroid; ``[C, K]``, no gradient.

    After SNCLR (ChongjianGE/SNCLR @b95c7e5), where the query is in the centroid's place and the temperature is 1.
    """
    similarity = (centroids[:, None] * vectors).sum(dim=2).detach()
    return (similarity / temperature).masked_fill(~valid, -torch.inf).softmax(dim=1)


def uniform_weights(valid: Tensor) -> Tensor:
    """Equal weights of the prototypes that count; ``[C, K]`` float32."""
    return valid.float() / valid.sum(dim=1, keepdim=True)


def per_rank_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """K contrasts side by side, each with all clusters' prototypes of one rank, mixed by the own cluster's weights.

    ``-(1/B) sum_b sum_k W[y_b, k] log softmax_c(q_b . P[c, k] / tau)[y_b]``. With one slot it is the contrast with
    the clusters' most central images.
    """
    log_shares = _own(_logits(features, prototypes, temperature).log_softmax(dim=1), labels)
    return -(prototypes.weights[labels] * log_shares).sum(dim=1).mean()


def joint_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """One contrast with all prototypes of all clusters; those of the own cluster are weighted positives.

    ``-(1/B) sum_b sum_k W[y_b, k] (l[y_b, k] - log sum_{c, k'} exp l[c, k'])`` with ``l = q_b . P / tau``, as in
    SNCLR (ChongjianGE/SNCLR @b95c7e5). Positives compete: its minimum is the entropy of the weights.
    """
    logits = _logits(features, prototypes, temperature)
    total = logits.masked_fill(~prototypes.valid, -torch.inf).flatten(1).logsumexp(dim=1)
    return -(prototypes.weights[labels] * (_own(logits, labels) - total[:, None])).sum(dim=1).mean()


def mean_prototype_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """The plain contrast with one row a cluster, the unit weighted mean of its prototypes."""
    rows = normalize((prototypes.weights[:, :, None] * prototypes.vectors).sum(dim=1), dim=1)
    return cross_entropy(features @ rows.T / temperature, labels)


def hardest_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """The contrast with the least similar prototype of the own cluster and the most similar one of each other.

    As HHCL (bupt-ai-cz/HHCL-ReID @4986b46) and PCLHD (shijiangming1/PCLHD @c1f7b24) use random prototypes; weights
    do not enter.
    """
    logits = _logits(features, prototypes, temperature)
    own = _own(logits, labels).amin(dim=1, keepdim=True)
    return cross_entropy(logits.amax(dim=2).scatter(1, labels[:, None], own), labels)


def _logits(features: Tensor, prototypes: SoftPrototypes, temperature: float) -> Tensor:
    """``[B, C, K]`` similarities over the temperature."""
    logits: Tensor = features @ prototypes.vectors.flatten(0, 1).T / temperature
    return logits.view(len(features), *prototypes.valid.shape)


def _own(values: Tensor, labels: Tensor) -> Tensor:
    """``[B, K]``: of ``[B, C, K]``, those of each row's own cluster."""
    return values[torch.arange(len(labels), device=labels.device), labels]


PrototypeLoss = Callable[[Tensor, SoftPrototypes, Tensor, float], Tensor]
LOSSES: dict[str, PrototypeLoss] = {
    "per_rank": per_rank_loss,
    "joint": joint_loss,
    "mean": mean_prototype_loss,
    "hardest": hardest_loss,
}
"""Contrasts of features with soft prototypes, by name."""
