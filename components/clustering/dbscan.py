"""Pseudo-labels: DBSCAN on the k-reciprocal Jaccard distance, and the centroids of its clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.clustering.neighbours import Search, all_finite
from usvi_bench.core.errors import UsageError
from usvi_bench.core.measuring import timed
from usvi_bench.core.types import OUTLIER

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def dbscan(distance: csr_array, eps: float, min_samples: int = 4) -> NDArray[np.int64]:
    """Cluster by a sparse distance, with the result of scikit-learn's ``DBSCAN(metric="precomputed")``.

    A core point has ``min_samples`` points within ``eps``, itself included. Clusters are the connected components of
    the core points, numbered by their smallest index. A border point takes the smallest label among its core
    neighbours. All other points get -1.

    Args:
        distance: ``[N, N]``, symmetric; an absent pair is farther than ``eps``, an absent diagonal is zero.
        eps: largest distance between neighbours.
        min_samples: number of points that make a core point.

    Returns:
        ``[N]`` labels.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    n = distance.shape[0]
    row, column = np.repeat(np.arange(n), np.diff(distance.indptr)), distance.indices
    own = np.ones(n, np.bool_)
    own[row[row == column]] = False
    near = distance.data <= eps
    row, column = row[near], column[near]
    core = np.bincount(row, minlength=n) + own >= min_samples

    labels = np.full(n, OUTLIER, np.int64)
    linked = core[row] & core[column]
    edges = csr_array((np.ones(linked.sum(), np.bool_), (row[linked], column[linked])), shape=(n, n))
    components = connected_components(edges, directed=False)[1][core]
    _, first, component = np.unique(components, return_index=True, return_inverse=True)
    labels[core] = np.argsort(np.argsort(first))[component]

    reached = ~core[row] & core[column]
    border = np.full(n, n)
    np.minimum.at(border, row[reached], labels[column[reached]])
    labels[border < n] = border[border < n]
    return labels


def centroids(features: Tensor, labels: Tensor) -> Tensor:
    """Compute the centroids of clusters: M_k = unit(mean of the features of cluster k).

    >>> centroids(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]), torch.tensor([0, 0, 1, -1]))
    tensor([[1., 0.],
            [0., 1.]])

    Args:
        features: ``[N, D]`` features that are not normalised.
        labels: ``[N]`` clusters; outliers (-1) are left out.

    Returns:
        ``[C, D]``, a row for every label that occurs, in ascending order.
    """
    kept = labels != OUTLIER
    present, cluster = torch.unique(labels[kept], return_inverse=True)
    total = features.new_zeros(len(present), features.shape[1]).index_add_(0, cluster, features[kept])
    return normalize(total)  # a sum has the direction of the mean


def cluster_means(features: Tensor, labels: Tensor) -> Tensor:
    """Compute the means of clusters, which are not normalised; otherwise as :func:`centroids`.

    >>> cluster_means(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0], [9.0, 9.0]]), torch.tensor([0, 0, 1, -1]))
    tensor([[0.5000, 0.5000],
            [0.0000, 2.0000]])
    """
    kept = labels != OUTLIER
    present, cluster, counts = torch.unique(labels[kept], return_inverse=True, return_counts=True)
    total = features.new_zeros(len(present), features.shape[1]).index_add_(0, cluster, features[kept])
    return torch.div(total, counts[:, None])


def pseudo_labels(
    features: Tensor,
    *,
    eps: float,
    k1: int = 30,
    k2: int = 6,
    min_samples: int = 4,
    groups: ArrayLike | Tensor | None = None,
    balanced: bool = False,
    search: Search = "auto",
    what: str = "images",
    at_least: int = 2,
) -> Tensor:
    """Compute pseudo-labels: the cluster of every image, or -1 for an outlier.

    Args:
        features: ``[N, D]`` features, used without normalisation.
        eps: largest Jaccard distance between neighbours, in ``(0, 1)``.
        k1: number of neighbours in the k-reciprocal encoding.
        k2: number of neighbours in the local expansion.
        min_samples: number of neighbours, itself included, that make an image a core point.
        groups: modality ``[N]``, or modality and camera ``[N, 2]``, over which the expansion is balanced.
        balanced: balance the neighbour lists over the groups ``[N]``, too; see
            :func:`usvi_bench.components.clustering.balanced_lists.balanced_jaccard`.
        search: neighbour search, see :func:`usvi_bench.components.clustering.neighbours.nearest`.
        what: name of the images in messages.
        at_least: smallest number of clusters that is accepted.

    Returns:
        ``[N]`` int64, on the device of ``features``.

    Raises:
        UsageError: ``eps`` out of range, fewer images than ``k1``, or fewer clusters than ``at_least``.
    """
    if not 0 < eps < 1:
        raise UsageError(
            f"{what}: eps={eps} is outside 0 to 1, the range of Jaccard distances; change --set method.eps"
        )
    if len(features) < k1:
        raise UsageError(
            f"{what}: {len(features)} images are fewer than k1={k1}; lower it to about the images of a person, as "
            f"--set method.k1={max(1, len(features) // 2)}, or give more images"
        )
    if not all_finite(features):
        raise UsageError(f"{what}: features are not finite, training has diverged; lower --set train.lr")
    # here, because they are slow to import
    from usvi_bench.components.clustering.balanced_lists import balanced_jaccard
    from usvi_bench.components.clustering.jaccard import jaccard_distance

    try:
        if balanced and groups is not None:
            distance = balanced_jaccard(features, groups, k1, k2, max_distance=eps)
        else:
            distance = jaccard_distance(features, k1, k2, groups, max_distance=eps, search=search)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error
    with timed("dbscan"):
        labels = dbscan(distance, eps, min_samples)
    found = int(labels.max()) + 1
    if found < at_least:
        raise UsageError(
            f"{what}: {found} cluster{'s' * (found != 1)} (eps={eps}, {len(features)} images); "
            "raise --set method.eps if most images are outliers, lower it if a cluster holds nearly all"
        )
    return torch.from_numpy(labels).to(features.device)
