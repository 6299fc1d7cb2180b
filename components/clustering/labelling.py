"""Pseudo-labels of a whole training set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids, pseudo_labels
from usvi_bench.components.clustering.neighbours import Search
from usvi_bench.core.types import OUTLIER, Features, PseudoLabels


@dataclass(frozen=True)
class Clustering:
    """How images are clustered: k-reciprocal Jaccard distance, then DBSCAN.

    Attributes:
        eps: largest distance between neighbours.
        k1: neighbours in the k-reciprocal encoding.
        k2: neighbours in its local expansion.
        min_samples: neighbours that make an image a core point.
        normalise: give the flip-averaged features unit length first. ADCA, PGM and PCLHD do not.
        search: how neighbours are found, see :func:`usvi_bench.components.clustering.neighbours.nearest`.
    """

    eps: float
    k1: int
    k2: int
    min_samples: int = 4
    normalise: bool = True
    search: Search = "auto"

    def __call__(self, features: Tensor, groups: Tensor | None, what: str, at_least: int = 2) -> Tensor:
        """Cluster of every image ``[N]``; see :func:`usvi_bench.components.clustering.dbscan.pseudo_labels`."""
        return pseudo_labels(
            features,
            eps=self.eps,
            k1=self.k1,
            k2=self.k2,
            min_samples=self.min_samples,
            groups=groups,
            search=self.search,
            what=what,
            at_least=at_least,
        )


def cluster_each_modality(features: Features, clustering: Clustering, *, cameras: bool = False) -> PseudoLabels:
    """Cluster each modality on its own.

    Args:
        features: of the whole training set.
        clustering: how.
        cameras: balance the local expansion over the cameras of the modality.

    Raises:
        UsageError: a modality has fewer images than ``k1``, or falls into fewer than two clusters.
    """
    f = features.normalised() if clustering.normalise else features
    return PseudoLabels(
        visible=clustering(f.visible, f.visible_cameras if cameras else None, "visible"),
        infrared=clustering(f.infrared, f.infrared_cameras if cameras else None, "infrared"),
    )


def centroids_of(features: Features, labels: PseudoLabels) -> tuple[Tensor, Tensor]:
    """Unit centroids of the visible and of the infrared clusters, ``[Kv, D]`` and ``[Ki, D]``."""
    return centroids(features.visible, labels.visible), centroids(features.infrared, labels.infrared)


def modality_of_each(features: Features) -> Tensor:
    """0 for every visible image, then 1 for every infrared one: what :func:`cluster_jointly` balances over."""
    return torch.cat([torch.zeros_like(features.visible_cameras), torch.ones_like(features.infrared_cameras)])


def cameras_of_each(features: Features, *, nested: bool = True) -> Tensor:
    """Camera of every visible, then every infrared image; no camera is of both modalities, whatever its number.

    Args:
        features: of the whole training set.
        nested: within its modality ``[N, 2]``, so that modalities weigh the same, too (our reading of DMIC); or alone
            ``[N]`` (Eq. 6 and 7 of DMIC as printed).
    """
    visible, infrared = features.visible_cameras, features.infrared_cameras
    cameras = torch.cat([visible, infrared - infrared.min() + visible.max() + 1])
    return torch.stack([modality_of_each(features), cameras], 1) if nested else cameras


def cluster_jointly(features: Features, clustering: Clustering, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    """Cluster both modalities together; there may be no cluster at all.

    Without a balance, an image's neighbours are of its own modality, and so are its clusters. Balanced as in MMM
    (shijiangming1/MMM @7e57d50).

    Args:
        features: of the whole training set.
        clustering: how.
        groups: of all visible images, then all infrared ones, to balance the local expansion over; None for no balance.

    Returns:
        Labels of the visible and of the infrared images, numbered together.

    Raises:
        UsageError: fewer images than ``k1``.
    """
    f = features.normalised() if clustering.normalise else features
    labels = clustering(torch.cat([f.visible, f.infrared]), groups, "visible and infrared", at_least=0)
    return labels[: len(f.visible)], labels[len(f.visible) :]


def in_both(visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """The labels of clusters that hold images of both modalities; the images of all others become outliers.

    >>> in_both(torch.tensor([0, 1, -1]), torch.tensor([1, 2]))
    (tensor([-1,  1, -1]), tensor([ 1, -1]))
    """
    return (
        torch.where(torch.isin(visible, infrared), visible, OUTLIER),
        torch.where(torch.isin(infrared, visible), infrared, OUTLIER),
    )
