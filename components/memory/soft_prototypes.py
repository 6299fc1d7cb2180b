"""Soft prototypes of SPCL-ID: images near the centroid of a cluster, weighted by their similarity to it.

They are chosen by :func:`nearest_prototypes`, or by :func:`random_prototypes` as the control, weighted by
:func:`soft_weights` or :func:`uniform_weights`, and contrasted by one of ``LOSSES``. There are C clusters of K slots,
and all features are unit rows of D entries. If a cluster has fewer than K prototypes, its remaining slots repeat them
and are not valid. Every formula is our reconstruction.
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
    """Prototype index: the images that are the prototypes of each cluster.

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
    """Soft prototypes of all clusters, with their current features and weights.

    Attributes:
        vectors: ``[C, K, D]`` unit features [P].
        weights: ``[C, K]`` weights [W], rows sum to 1; 0 for slots that are not valid.
        valid: ``[C, K]`` bool, False for a slot that repeats an earlier one.
    """

    vectors: Tensor
    weights: Tensor
    valid: Tensor

    def figures(self, centroids: Tensor) -> dict[str, Tensor]:
        """Compute figures of the prototypes and their weights, averaged over clusters with centroids ``[C, D]``.

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
    """Choose the images most similar to each centroid; of equals the first.

    Args:
        centroids: ``[C, D]`` centroids.
        bank: ``[N, D]`` features of all images.
        labels: ``[N]`` clusters, which include each of the C clusters.
        slots: largest number of prototypes of a cluster [K].
        share: largest number of prototypes as a share of the cluster's images, rounded half up [phi]; at least one
            prototype is chosen.
        scope: images to choose from: those of the cluster, or all of the modality.
        floor: smallest similarity as a share of the largest one [kappa], or None for no bound. SDCL (yangbincv/SDCL
            @6033332) has such a rule.
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
    """Choose up to ``slots`` different random images of each cluster, as PCLHD does."""
    scores = torch.rand(len(labels), generator=generator, device=generator.device).to(labels.device)
    sizes = labels[labels != OUTLIER].bincount()
    members = labels == torch.arange(len(sizes), device=labels.device)[:, None]
    return _select(scores.where(members, -torch.inf), sizes.clamp(max=slots), slots)


def _select(scores: Tensor, limits: Tensor, slots: int) -> PrototypeIndex:
    """Choose the ``limits`` ``[C]`` best columns of each row of ``scores`` ``[C, N]``, repeated to fill the slots."""
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :slots]
    slot = torch.arange(slots, device=scores.device)
    return PrototypeIndex(best.gather(1, slot % limits[:, None]), slot < limits[:, None])


def soft_weights(centroids: Tensor, vectors: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """Compute soft weights: W_ck = softmax_k(M_c . P_ck / tau_w), ``[C, K]`` without gradient.

    The form is our reconstruction after SNCLR (ChongjianGE/SNCLR @b95c7e5), which has the query in place of the
    centroid M_c and a temperature of 1.

    >>> soft_weights(torch.tensor([[1.0, 0.0]]), torch.eye(2)[None], torch.tensor([[True, True]]), temperature=1.0)
    tensor([[0.7311, 0.2689]])
    """
    similarity = (vectors.detach() @ centroids.detach()[:, :, None]).squeeze(2)
    return (similarity / temperature).where(valid, -torch.inf).softmax(dim=1)


def uniform_weights(valid: Tensor) -> Tensor:
    """Compute equal weights of the valid prototypes, ``[C, K]`` float32.

    >>> uniform_weights(torch.tensor([[True, True], [True, False]]))
    tensor([[0.5000, 0.5000],
            [1.0000, 0.0000]])
    """
    return valid.float() / valid.sum(dim=1, keepdim=True)


def per_rank_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """Compute the soft-prototype loss by rank: L_SP = -1/B sum_b sum_k W_yk log softmax_c(q_b . P_ck / tau)[y].

    y is the cluster of sample b. Each of the K contrasts has the prototypes of one rank of all clusters, and the
    weights are those of the own cluster. With one slot it is the contrast with the most central image of each cluster.
    The form is ours alone.
    """
    log_shares = _own(_logits(features, prototypes, temperature).log_softmax(dim=1), labels)
    return (prototypes.weights[labels].flatten() @ log_shares.flatten()) * (-1 / len(labels))


def joint_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """Contrast with all prototypes of all clusters in one softmax; those of the own cluster are weighted positives.

    ``-(1/B) sum_b sum_k W[y_b, k] (l[y_b, k] - log sum_{c, k'} exp l[c, k'])`` with ``l = q_b . P / tau``, as in
    SNCLR (ChongjianGE/SNCLR @b95c7e5). The probabilities of all prototypes sum to 1, so the loss is at least the
    entropy of the weights.
    """
    logits = _logits(features, prototypes, temperature)
    total = logits.masked_fill(~prototypes.valid, -torch.inf).flatten(1).logsumexp(dim=1)
    return -(prototypes.weights[labels] * (_own(logits, labels) - total[:, None])).sum(dim=1).mean()


def mean_prototype_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """Contrast with one row for each cluster, the unit weighted mean of its prototypes."""
    rows = normalize((prototypes.weights[:, :, None] * prototypes.vectors).sum(dim=1), dim=1)
    return cross_entropy(features @ rows.T / temperature, labels)


def hardest_loss(features: Tensor, prototypes: SoftPrototypes, labels: Tensor, temperature: float) -> Tensor:
    """Contrast with the hardest prototypes: CE(z / tau, y), z_c = min_k q . P_ck if c = y, else max_k q . P_ck.

    Weights are not used. HHCL (bupt-ai-cz/HHCL-ReID @4986b46) and PCLHD (shijiangming1/PCLHD @c1f7b24) contrast random
    prototypes in this way.
    """
    logits = _logits(features, prototypes, temperature)
    own = _own(logits, labels).amin(dim=1, keepdim=True)
    return cross_entropy(logits.amax(dim=2).scatter(1, labels[:, None], own), labels)


def _logits(features: Tensor, prototypes: SoftPrototypes, temperature: float) -> Tensor:
    """Compute the similarities ``[B, C, K]`` divided by the temperature."""
    logits: Tensor = features @ prototypes.vectors.flatten(0, 1).T / temperature
    return logits.view(len(features), *prototypes.valid.shape)


def _own(values: Tensor, labels: Tensor) -> Tensor:
    """Select from ``[B, C, K]`` the entries ``[B, K]`` of each sample's own cluster."""
    return values.take_along_dim(labels[:, None, None], dim=1).squeeze(1)


PrototypeLoss = Callable[[Tensor, SoftPrototypes, Tensor, float], Tensor]
LOSSES: dict[str, PrototypeLoss] = {
    "per_rank": per_rank_loss,
    "joint": joint_loss,
    "mean": mean_prototype_loss,
    "hardest": hardest_loss,
}
"""Contrasts of unit features ``[B, D]`` with soft prototypes, by name."""
