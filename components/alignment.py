"""Alignment of the two modalities of a class: soft cluster-level alignment (SCA) of MMM, Intra and Inter.

https://arxiv.org/abs/2401.06825; shijiangming1/MMM @7e57d50.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from usvi_bench.components.constants import constant
from usvi_bench.components.distances import squared_distances

IntraNorm = Literal["l2", "l1"]
"""Distances of a feature from a prototype, see :func:`intra_costs`."""

EXPONENTS = tuple(-(2.0**-j) for j in range(-2, 3))
"""Factors of the squared distance, divided by the bandwidth, in the exponents of the kernels of the discrepancy."""
LEAST_CONFIDENCE = 1e-6
"""Smallest sum of weights that gives a weighted mean."""
LEAST_BANDWIDTH = 1e-4
"""Smallest bandwidth; that of unit features is lower only if they are equal up to rounding."""


def class_prototypes(features: Tensor, labels: Tensor, weights: Tensor, classes: int, *, by_count: bool) -> Tensor:
    """Compute the prototypes of classes: C_p = sum_i w_i f_i / sum_i w_i over the images i of class p.

    A class whose weights sum to less than 1e-6 has the plain mean, and a class without images a row of zeros.

    Args:
        features: ``[N, D]`` features of one modality; they are not normalised.
        labels: ``[N]`` classes; outliers (-1) are left out.
        weights: ``[N]`` weights from 0 on [w].
        classes: number of classes.
        by_count: divide by the number of images instead, as the released code does.

    Returns:
        ``[classes, D]``, not normalised.
    """
    rows = torch.where(labels >= 0, labels, classes)  # outliers get a row that is dropped

    def sums(values: Tensor) -> Tensor:
        return values.new_zeros(classes + 1, *values.shape[1:]).index_add_(0, rows, values)

    if not by_count:
        weights = torch.where(sums(weights)[rows] > LEAST_CONFIDENCE, weights, 1)
    total = sums(torch.ones_like(weights) if by_count else weights)
    return (sums(weights[:, None] * features) / total.clamp(min=LEAST_CONFIDENCE)[:, None])[:classes]


def intra_costs(features: Tensor, prototypes: Tensor, weights: Tensor, norm: IntraNorm = "l2") -> Tensor:
    """Compute the costs of Intra: |f_i - C_i|^2 (``l2``, paper), or w_i mean_d |f_id - C_id| (``l1``, released code).

    Intra is the mean of the costs of each modality.

    Args:
        features: ``[B, D]`` features [f].
        prototypes: ``[B, D]`` prototype of each feature's class; no gradient reaches them [C].
        weights: ``[B]`` confidence in the features' labels, which only ``l1`` uses [w].
        norm: distance.

    Returns:
        ``[B]``.
    """
    apart = features - prototypes.detach()
    return apart.square().sum(1) if norm == "l2" else weights * apart.abs().mean(1)


def discrepancy(visible: Tensor, infrared: Tensor, labels: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the mean discrepancy (MMD^2) of the modalities, over the P classes with features of both.

    For a class with n features V and m features R, k being the sum of five Gaussian kernels::

        D(V, R) = mean k(V, V) + mean k(R, R) - 2 mean k(V, R)
        k(x, y) = sum_{j=0}^{4} exp(-|x - y|^2 / (b 2^(j-2)))

    b is the mean squared distance of two different features of the class, without gradient. Means are over all pairs of
    a block, so n and m may differ. The released code requires n = m.

    Args:
        visible: ``[B, D]`` features.
        infrared: ``[M, D]`` features.
        labels: classes ``[B]`` of the visible and ``[M]`` of the infrared features, in any order.

    Returns:
        Scalar (1 / P) sum_p D(V_p, R_p); 0 without a class of both modalities.
    """
    features, classes = torch.cat([visible, infrared]), torch.cat(labels)
    side = torch.cat([torch.ones_like(labels[0]), -torch.ones_like(labels[1])])
    together = classes[:, None] == classes
    same = (together & (side[:, None] == side)).sum(1, dtype=features.dtype)
    size = together.sum(1, dtype=features.dtype)
    share = torch.where(size > same, side / same, 0)  # of a class of one modality: none
    distance = squared_distances(features)
    with torch.no_grad():
        of_rows = (distance * together).sum(1)
        bandwidth = (together.to(of_rows) @ of_rows / (size * (size - 1)).clamp(min=1)).clamp(min=LEAST_BANDWIDTH)
    kernels = (distance / bandwidth * constant(EXPONENTS, distance.device)[:, None, None]).exp().sum(0)
    count = (share.clamp(min=0)).sum().clamp(min=1)  # each class with both adds 1
    return (kernels * together * share[:, None] * share).sum() / count


def inter_loss(visible: Tensor, infrared: Tensor, labels: tuple[Tensor, Tensor], views: int = 1) -> Tensor:
    """Compute Inter: D(V, sg R) + D(R, sg V), averaged over classes; sg is the stop-gradient.

    Both terms have the value of :func:`discrepancy`, and their gradients are its gradients with respect to V and R.

    Args:
        visible: ``[B, D]`` features [V].
        infrared: ``[M, D]`` features [R].
        labels: classes ``[B]`` of the visible and ``[M]`` of the infrared features.
        views: number of equal parts of the visible features, each of which is compared with all infrared ones; the
            result is the sum.
    """
    parts = zip(visible.chunk(views), labels[0].chunk(views), strict=True)
    terms = [discrepancy(part, infrared, (own, labels[1])) for part, own in parts]
    found = sum(terms[1:], terms[0])
    return found + found.detach()
