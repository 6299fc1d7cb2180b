"""Pseudo-labels of a whole training set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids, pseudo_labels
from usvi_bench.components.clustering.neighbours import Search
from usvi_bench.core.types import OUTLIER, Features, PseudoLabels


@dataclass(frozen=True)
class Clustering:
    """Clustering of images: k-reciprocal Jaccard distance, then DBSCAN.

    Attributes:
        eps: largest distance between neighbours.
        k1: number of neighbours in the k-reciprocal encoding.
        k2: number of neighbours in the local expansion.
        min_samples: number of neighbours that make an image a core point.
        normalise: normalise the flip-averaged features first. The code of ADCA, PGM and PCLHD does not.
        search: neighbour search, see :func:`usvi_bench.components.clustering.neighbours.nearest`.
        balanced: balance the neighbour lists of a clustering with groups, not only its local expansion.
    """

    eps: float
    k1: int
    k2: int
    min_samples: int = 4
    normalise: bool = True
    search: Search = "auto"
    balanced: bool = False

    def __call__(self, features: Tensor, groups: Tensor | None, what: str, at_least: int = 2) -> Tensor:
        """Cluster images ``[N]``; see :func:`usvi_bench.components.clustering.dbscan.pseudo_labels`."""
        return pseudo_labels(
            features,
            eps=self.eps,
            k1=self.k1,
            k2=self.k2,
            min_samples=self.min_samples,
            groups=groups,
            balanced=self.balanced,
            search=self.search,
            what=what,
            at_least=at_least,
        )


def cluster_each_modality(features: Features, clustering: Clustering, *, cameras: bool = False) -> PseudoLabels:
    """Cluster each modality on its own.

    Args:
        features: features of the whole training set.
        clustering: settings of the clustering.
        cameras: balance the local expansion over the cameras of the modality (MIE of DMIC).

    Raises:
        UsageError: a modality has fewer images than ``k1``, or falls into fewer than two clusters.
    """
    f = features.normalised() if clustering.normalise else features
    return PseudoLabels(
        visible=clustering(f.visible, f.visible_cameras if cameras else None, "visible"),
        infrared=clustering(f.infrared, f.infrared_cameras if cameras else None, "infrared"),
    )


def centroids_of(features: Features, labels: PseudoLabels) -> tuple[Tensor, Tensor]:
    """Compute the unit centroids of the visible and of the infrared clusters, ``[Kv, D]`` and ``[Ki, D]``."""
    return centroids(features.visible, labels.visible), centroids(features.infrared, labels.infrared)


def modality_of_each(features: Features) -> Tensor:
    """Return the modality of each image as groups of :func:`cluster_jointly`: 0 for visible, then 1 for infrared."""
    return torch.cat([torch.zeros_like(features.visible_cameras), torch.ones_like(features.infrared_cameras)])


def cameras_of_each(features: Features, *, nested: bool = True) -> Tensor:
    """Return the camera of each image, visible images first, as groups of :func:`cluster_jointly` (MIE of DMIC).

    Equal camera numbers of different modalities are different cameras.

    Args:
        features: features of the whole training set.
        nested: return modality and camera ``[N, 2]``, which gives modalities equal weights too (our reconstruction of
            DMIC). False: return the camera ``[N]`` (Eq. 6 and 7 of DMIC as printed).
    """
    visible, infrared = features.visible_cameras, features.infrared_cameras
    cameras = torch.cat([visible, infrared - infrared.min() + visible.max() + 1])
    return torch.stack([modality_of_each(features), cameras], 1) if nested else cameras


def cluster_jointly(features: Features, clustering: Clustering, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    """Cluster both modalities together; the result may have no cluster.

    The local expansion is balanced over groups as in MMM (shijiangming1/MMM @7e57d50), and with ``clustering.balanced``
    the neighbour lists, too. Without a balance most neighbours of an image are of its own modality, and so are the
    images of its cluster.

    Args:
        features: features of the whole training set.
        clustering: settings of the clustering.
        groups: groups of all visible and then all infrared images to balance over; None for no balance.

    Returns:
        Clusters of the visible and of the infrared images, numbered together.

    Raises:
        UsageError: fewer images than ``k1``, or than balanced lists need of each group.
    """
    f = features.normalised() if clustering.normalise else features
    labels = clustering(torch.cat([f.visible, f.infrared]), groups, "visible and infrared", at_least=0)
    return labels[: len(f.visible)], labels[len(f.visible) :]


def in_both(visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """Keep the labels of clusters with images of both modalities; images of other clusters become outliers.

    >>> in_both(torch.tensor([0, 1, -1]), torch.tensor([1, 2]))
    (tensor([-1,  1, -1]), tensor([ 1, -1]))
    """
    return (
        torch.where(torch.isin(visible, infrared), visible, OUTLIER),
        torch.where(torch.isin(infrared, visible), infrared, OUTLIER),
    )


def add_joint_clusters(labels: PseudoLabels, features: Features, clustering: Clustering) -> PseudoLabels:
    """Cluster both modalities together, balanced over them, and add the result to the labels of each modality.

    Args:
        labels: clusters of each modality.
        features: features of the whole training set.
        clustering: settings of the joint clustering.

    Returns:
        The labels with ``joint_clusters``, and with ``joint``, those of them that have images of both modalities.
    """
    clusters = cluster_jointly(features, clustering, modality_of_each(features))
    return replace(labels, extra={**labels.extra, "joint": in_both(*clusters), "joint_clusters": clusters})
