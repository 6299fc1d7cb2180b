"""Noisy pseudo-label calibration (NPC) of RPNR: an image gets the cluster whose dense core is nearest.

https://arxiv.org/abs/2405.05613; XiangboYin/RPNR @6647f21.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.core.types import OUTLIER

Ties = Literal["similarity", "position"]
"""Which of equally dense images is chosen: the one more similar to its cluster, or the one of the smaller row."""


def calibrate_labels(
    features: Tensor, labels: Tensor, members: int, threshold: float = 0.5, ties: Ties = "similarity"
) -> Tensor:
    """Calibrate labels (NPC): ``y_i = argmax_k cos(f_i, P_k)`` over all clusters; outliers stay outliers.

    P are the prototypes of :func:`dense_prototypes`. A cluster may lose all its images.

    Args:
        features: ``[N, D]`` features of one modality, of any length [f].
        labels: ``[N]`` clusters, or -1. Every cluster from 0 to the largest one has an image.
        members: largest number of images in a prototype.
        threshold: cosine above which two images are near.
        ties: choice among equally dense images.

    Returns:
        ``[N]``.
    """
    prototypes = dense_prototypes(features, labels, members, threshold, ties)
    nearest = (normalize(features) @ normalize(prototypes).t()).argmax(dim=1)
    return torch.where(labels != OUTLIER, nearest, OUTLIER)


def dense_prototypes(
    features: Tensor, labels: Tensor, members: int, threshold: float = 0.5, ties: Ties = "similarity"
) -> Tensor:
    """Average the densest images of each cluster; ``rho_i = sum_j sign(cos(f_i, f_j) - threshold)`` is the density.

    The sum is over all images of the cluster, i included. Cosines are computed in float64. A smaller cluster takes all
    images. Arguments are those of :func:`calibrate_labels`.

    Returns:
        ``[K, D]`` plain means, which are not normalised.
    """
    kept = labels != OUTLIER
    order = labels.argsort(stable=True)[int((~kept).sum()) :]
    prototypes = []
    for own in order.split(labels[kept].bincount().tolist()):
        rows = normalize(features[own].double())
        cosine = rows @ rows.t()
        density = (cosine - threshold).sign().sum(dim=1)
        first = torch.arange(len(own), device=own.device)
        if ties == "similarity":
            first = cosine.mean(dim=1).argsort(descending=True, stable=True)
        densest = first[density[first].argsort(descending=True, stable=True)][:members]
        prototypes.append(features[own[densest]].mean(dim=0))
    return torch.stack(prototypes)


def with_emptied(features: Tensor, labels: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
    """Give emptied clusters their images back: append the images of clusters that have none left.

    These images occur twice, in their new and in their raw cluster, so that all raw clusters have a mean.

    >>> features, raw = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 1, 1])
    >>> with_emptied(features, torch.tensor([1, 1, 1]), raw)
    (tensor([[1.],
            [2.],
            [3.],
            [1.]]), tensor([1, 1, 1, 0]))

    Args:
        features: ``[N, D]``.
        labels: ``[N]`` calibrated clusters.
        raw: ``[N]`` clusters before.

    Returns:
        Features ``[N + E, D]`` and clusters ``[N + E]``.
    """
    lost = (raw != OUTLIER) & ~torch.isin(raw, labels)
    return torch.cat([features, features[lost]]), torch.cat([labels, raw[lost]])
