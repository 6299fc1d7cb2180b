"""Secondary clustering into sub-centres, and multi-centre contrastive learning (MCCL).

HIL (https://arxiv.org/abs/2509.11587; haonanshi0125/HIL @09c857a).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize, threshold

from usvi_bench.components.constants import constant
from usvi_bench.components.memory.batched_kmeans import part_means
from usvi_bench.components.unit import unit
from usvi_bench.core.types import OUTLIER

EPSILON, LEAST_SQUARE = 1e-8, 1e-10
"""Addend of the logarithm, and smallest squared distance, whose inverse is finite."""


@dataclass(frozen=True, slots=True)
class SubCentres:
    """Sub-centres: unit centres of all clusters that occur in a set of samples.

    Attributes:
        rows: ``[C, S + 1, D]``; slot 0 is the centre of the whole cluster.
        clusters: ``[C]`` label of each row, ascending.
    """

    rows: Tensor
    clusters: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, count: int, blend: float, generator: Generator) -> SubCentres:
        """Split clusters and normalise their centres; see :func:`sub_centres`."""
        clusters = labels[labels != OUTLIER].unique()
        return cls(normalize(sub_centres(features, labels, count, blend, generator), dim=2), clusters)

    def find(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Find the row of each label ``[B]``, and True where the label has one; other rows are arbitrary."""
        rows = torch.searchsorted(self.clusters, labels).clamp(max=len(self.clusters) - 1)
        return rows, self.clusters[rows] == labels


def sub_centres(features: Tensor, labels: Tensor, count: int, blend: float, generator: Generator) -> Tensor:
    """Split clusters by k-means (secondary clustering): D_k0 = mean_k, D_kj = blend mean_k + (1 - blend) mean_kj.

    mean_kj is the mean of part j of cluster k. A cluster has its mean in all slots if it has at most ``count`` samples,
    or if samples coincide so that k-means finds fewer parts. All clusters are split together
    (:mod:`usvi_bench.components.memory.batched_kmeans`). Restarts, rule of starting points and inertia are as with
    scikit-learn's ``KMeans``, which the released code uses, but the draws and so the parts are not the same.

    Args:
        features: ``[N, D]`` features, used without normalisation.
        labels: ``[N]`` clusters; outliers (-1) are left out.
        count: parts of a cluster [S]; 0 for none.
        blend: weight of the cluster's mean in its sub-centres.
        generator: generator of the starting points of k-means, on the CPU.

    Returns:
        ``[C, S + 1, D]`` float32, not normalised, with a row for every label that occurs, in ascending order. The order
        of slots 1 to S is arbitrary.
    """
    kept = torch.nonzero(labels != OUTLIER).squeeze(1)
    present, cluster, sizes = torch.unique(labels[kept], return_inverse=True, return_counts=True)
    samples = features.detach().float()
    total = samples.new_zeros(len(present), samples.shape[1]).index_add_(0, cluster, samples[kept])
    rows: Tensor = (total / sizes[:, None])[:, None].repeat(1, count + 1, 1)
    if count:
        groups = kept[torch.argsort(cluster, stable=True)]
        with torch.autocast(samples.device.type, enabled=False):
            parts = part_means(samples, groups, sizes.tolist(), count, generator)
        rows[:, 1:] += (1 - blend) * parts
    return rows


def multi_centre_loss(features: Tensor, centres: Tensor, positive: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Compute the multi-centre contrast (MCCL): l_i = -log(p_i / (p_i + n_i + 1e-8)).

    p_i = mean_m 1 / |f_i - D_km| is over all centres of the positive cluster k, and
    n_i = mean_{c != k} 1 / min_m |f_i - D_cm| over the nearest centre of every other cluster; n_i is 0 without other
    clusters. There is no temperature, and no gradient reaches the centres. The formula is that of the released code
    (haonanshi0125/HIL @09c857a).

    Args:
        features: ``[B, D]`` features of any length; f_i are the normalised ones.
        centres: ``[C, M, D]`` unit centres [D].
        positive: ``[B]`` row of the positive cluster [k]; None for the nearest cluster.

    Returns:
        Losses ``[B]``, and the row of the nearest cluster ``[B]``.
    """
    with torch.autocast(features.device.type, enabled=False):
        costs, nearest = _MultiCentreCosts.apply(unit(features), centres.detach(), positive)  # type: ignore[no-untyped-call]
    return costs, nearest


class _MultiCentreCosts(torch.autograd.Function):
    """Costs ``log((p + n + 1e-8) / p)`` of unit features, from ``u = 1 / |f - D| = (2 - 2 f.D)^(-1/2)``.

    ``du/df = u^3 D``. A centre of the positive cluster has the share ``1 / M`` in p, and the nearest centre of one of
    the C - 1 other clusters ``1 / (C - 1)`` in n.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, centres: Tensor, positive: Tensor | None) -> tuple[Tensor, Tensor]:
        shape, rows = centres.shape[:2], centres.flatten(0, 1)
        two = constant((2.0,), rows.device, rows.dtype)
        squared = torch.addmm(two, features, rows.t(), alpha=-2).unflatten(1, shape)
        inverse = threshold(squared, LEAST_SQUARE, LEAST_SQUARE).rsqrt()
        largest, slots = inverse.max(dim=2)
        nearest = largest.argmax(dim=1)
        chosen = (nearest if positive is None else positive)[:, None]
        pos = inverse.mean(dim=2).gather(1, chosen)
        neg = largest.scatter(1, chosen, 0.0).sum(dim=1, keepdim=True).div_(max(shape[0] - 1, 1))
        total = neg.add_(EPSILON).add_(pos)
        ctx.save_for_backward(squared, slots, chosen, pos, total, rows)
        ctx.mark_non_differentiable(nearest)
        return (total / pos).log_().squeeze(1), nearest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        squared, slots, chosen, pos, total, rows = ctx.saved_tensors
        batch, clusters, count = squared.shape
        of_neg = gradient[:, None] / total
        of_pos = torch.addcdiv(of_neg, gradient[:, None], pos, value=-1) / count
        others = (of_neg / max(clusters - 1, 1))[:, :, None].expand(batch, clusters, 1)
        pulls = torch.zeros_like(squared).scatter_(2, slots[:, :, None], others)
        pulls.scatter_(1, chosen[:, :, None].expand(batch, 1, count), of_pos[:, :, None].expand(batch, 1, count))
        pulls.mul_(threshold(squared, LEAST_SQUARE, torch.inf).pow_(-1.5))  # no gradient on a centre
        return pulls.flatten(1) @ rows, None, None


def gated_sum(losses: Tensor, kept: Tensor, sizes: Sequence[int]) -> Tensor:
    """Average the losses ``[B]`` of each part where ``kept`` ``[B]`` is True (0 if nowhere); add up the parts."""
    shares = [part / part.sum().clamp(min=1) for part in kept.split(list(sizes))]
    return losses @ torch.cat(shares).to(losses.dtype)
