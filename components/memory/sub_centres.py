"""Secondary clustering into sub-centres, and multi-centre contrastive learning (MCCL).

HIL (https://arxiv.org/abs/2509.11587; haonanshi0125/HIL @09c857a).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.unit import unit
from usvi_bench.core.types import OUTLIER

EPSILON = 1e-8


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
    def of(cls, features: Tensor, labels: Tensor, count: int, blend: float) -> SubCentres:
        """Split clusters and normalise their centres; see :func:`sub_centres`."""
        clusters = labels[labels != OUTLIER].unique()
        return cls(normalize(sub_centres(features, labels, count, blend), dim=2), clusters)

    def find(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Find the row of each label ``[B]``, and True where the label has one; other rows are arbitrary."""
        rows = torch.searchsorted(self.clusters, labels).clamp(max=len(self.clusters) - 1)
        return rows, self.clusters[rows] == labels


def sub_centres(features: Tensor, labels: Tensor, count: int, blend: float) -> Tensor:
    """Split clusters by k-means (secondary clustering): D_k0 = mean_k, D_kj = blend mean_k + (1 - blend) mean_kj.

    mean_kj is the mean of part j of cluster k. A cluster has its mean in all slots if it has at most ``count`` samples,
    or if samples coincide so that k-means finds fewer parts. k-means starts from a fixed seed and runs on one thread,
    so that sums have one order; small problems gain nothing from more threads.

    Args:
        features: ``[N, D]`` features, used without normalisation.
        labels: ``[N]`` clusters; outliers (-1) are left out.
        count: parts of a cluster [S]; 0 for none.
        blend: weight of the cluster's mean in its sub-centres.

    Returns:
        ``[C, S + 1, D]`` float32, not normalised, with a row for every label that occurs, in ascending order. The order
        of slots 1 to S is arbitrary.
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
    """Compute the means of k-means parts ``[S, D]``; all are the mean of the cluster if a part stays empty."""
    from sklearn.cluster import KMeans

    part = KMeans(count, n_init=10, random_state=0).fit(members).labels_
    if len(np.unique(part)) < count:
        return np.broadcast_to(members.mean(axis=0), (count, members.shape[1]))
    return np.stack([members[part == j].mean(axis=0) for j in range(count)])


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
    cosine = (unit(features) @ centres.detach().flatten(0, 1).t()).unflatten(1, centres.shape[:2])
    distance = (2 - 2 * cosine).clamp(min=1e-10).sqrt()  # above 0, so that its inverse is finite
    least = distance.amin(dim=2)
    nearest = least.argmin(dim=1)
    chosen = (nearest if positive is None else positive)[:, None]
    own = distance.take_along_dim(chosen[:, :, None], dim=1).squeeze(1)
    pos = (1 / own).mean(dim=1)
    neg = (1 / least).scatter(1, chosen, 0.0).sum(dim=1) / max(len(centres) - 1, 1)
    return -(pos / (pos + neg + EPSILON)).log(), nearest


def gated_mean(losses: Tensor, kept: Tensor) -> Tensor:
    """Average the losses ``[B]`` where ``kept`` ``[B]`` is True; the result is 0 if no entry is."""
    return (losses * kept).sum() / kept.sum().clamp(min=1)
