"""Clusters split into sub-centres, and the contrast of features with all centres of the nearest cluster.

Secondary clustering and MCCL, multi-centre contrastive learning, of HIL (https://arxiv.org/abs/2509.11587;
haonanshi0125/HIL @09c857a).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.core.types import OUTLIER

EPSILON = 1e-8


@dataclass(frozen=True, slots=True)
class SubCentres:
    """Unit centres of the clusters that occur in a set of samples.

    Attributes:
        rows: ``[C, S + 1, D]``; slot 0 is the cluster's own centre.
        clusters: ``[C]`` label of each row, ascending.
    """

    rows: Tensor
    clusters: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, count: int, blend: float) -> SubCentres:
        """Split the clusters; see :func:`sub_centres`."""
        clusters = labels[labels != OUTLIER].unique()
        return cls(normalize(sub_centres(features, labels, count, blend), dim=2), clusters)

    def find(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Row of each label ``[B]``, and whether there is one; without one the row means nothing."""
        rows = torch.searchsorted(self.clusters, labels).clamp(max=len(self.clusters) - 1)
        return rows, self.clusters[rows] == labels


def sub_centres(features: Tensor, labels: Tensor, count: int, blend: float) -> Tensor:
    """Mean of every cluster, and the means of its k-means parts pulled towards it.

    A cluster of at most ``count`` samples, or one that k-means cannot split so far because samples coincide, has its
    mean in all slots. k-means starts from a fixed seed and runs on one thread: small problems gain nothing from
    more, and sums then have one order.

    Args:
        features: ``[N, D]``, used as given.
        labels: ``[N]``; outliers (-1) are left out.
        count: parts of a cluster (S); 0 for none.
        blend: weight of the cluster's mean in its sub-centres.

    Returns:
        ``[C, S + 1, D]`` float32, un-normalised, a row for every label that occurs, ascending; slot 0 is the mean,
        the order of the others is arbitrary.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    samples, assigned = features.detach().float().cpu().numpy(), labels.cpu().numpy()
    present = np.unique(assigned[assigned != OUTLIER])
    rows = np.empty((len(present), count + 1, samples.shape[1]), np.float32)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct samples than parts
        for row, cluster in zip(rows, present, strict=True):
            members = samples[assigned == cluster]
            row[:] = members.mean(axis=0)
            if count and len(members) > count:
                row[1:] = blend * row[0] + (1 - blend) * _parts(members, count)
    return torch.from_numpy(rows).to(features.device)


def _parts(members: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Means of k-means parts ``[S, D]``; the mean of all where a part stays empty."""
    from sklearn.cluster import KMeans

    part = KMeans(count, n_init=10, random_state=0).fit(members).labels_
    if len(np.unique(part)) < count:
        return np.broadcast_to(members.mean(axis=0), (count, members.shape[1]))
    return np.stack([members[part == j].mean(axis=0) for j in range(count)])


def multi_centre_loss(features: Tensor, centres: Tensor, positive: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """MCCL: contrast by inverse distance of all centres of the positive cluster with the nearest one of each other.

    ``-log(pos / (pos + neg + 1e-8))`` with ``pos`` the mean inverse distance to the positive cluster's centres and
    ``neg`` the mean over other clusters of the inverse distance to their nearest centre; 0 if there is no other
    cluster. There is no temperature, and no gradient reaches the centres.

    Args:
        features: ``[B, D]``, of any length.
        centres: ``[C, M, D]`` unit rows.
        positive: ``[B]`` row of the positive cluster; None takes the nearest.

    Returns:
        Losses ``[B]``, and the nearest cluster's row ``[B]``.
    """
    cosine = (normalize(features, dim=1) @ centres.detach().flatten(0, 1).t()).unflatten(1, centres.shape[:2])
    distance = (2 - 2 * cosine).clamp(min=1e-10).sqrt()  # of unit vectors; never 0, so that its inverse is finite
    least = distance.amin(dim=2)
    nearest = least.argmin(dim=1)
    chosen = (nearest if positive is None else positive)[:, None]
    own = distance.take_along_dim(chosen[:, :, None], dim=1).squeeze(1)
    pos = (1 / own).mean(dim=1)
    neg = (1 / least).scatter(1, chosen, 0.0).sum(dim=1) / max(len(centres) - 1, 1)
    return -(pos / (pos + neg + EPSILON)).log(), nearest


def gated_mean(losses: Tensor, kept: Tensor) -> Tensor:
    """Mean of the losses ``[B]`` that are ``kept`` ``[B]``; 0 if none is."""
    return (losses * kept).sum() / kept.sum().clamp(min=1)
