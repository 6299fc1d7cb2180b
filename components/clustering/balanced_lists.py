"""Jaccard distance with balanced neighbour lists, which hold equally many images of each group.

This is the modality-aware distance of BMIL (https://arxiv.org/abs/2512.07760; Terminator8758/BMIL @79cc647). The plain
list of an image has mostly images of its own modality, even if the expansion is balanced.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from torch import Tensor

from usvi_bench.components.clustering.jaccard import distance_of_lists, nested_groups
from usvi_bench.components.clustering.most_similar import most_similar
from usvi_bench.core.measuring import timed


def nearest_in_each(features: Tensor, group: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the ``k`` images of each group that are most similar to every image, by inner product.

    An image is a candidate of its own group. Among unit features it is the first one of its group; a short feature may
    be less similar to itself than to others. Of exactly equal similarities, those of smaller rows come first.

    Args:
        features: ``[N, D]`` features, used without normalisation.
        group: ``[N]`` group of each image.
        k: number of images of each group.

    Returns:
        Similarities ``[N, G, k]`` float32, descending, and rows ``[N, G, k]`` int64; groups are in ascending order.

    Raises:
        ValueError: a group has fewer than ``k`` images.
    """
    vectors = features.detach().float().contiguous()
    members = [(group == value).nonzero().squeeze(1) for value in group.unique()]
    smallest = min(map(len, members))
    if not 1 <= k <= smallest:
        raise ValueError(f"{k} neighbours of each group, but the smallest group has {smallest} images")
    with timed("search"):
        similarities, rows = zip(*(most_similar(vectors, vectors[own], k, own) for own in members), strict=True)
    return torch.stack(similarities, 1), torch.stack([own[part] for own, part in zip(members, rows, strict=True)], 1)


def balanced_jaccard(
    features: Tensor | NDArray[np.floating[Any]],
    groups: ArrayLike | Tensor,
    k1: int = 30,
    k2: int = 6,
    max_distance: float = 1.0,
) -> csr_array:
    """Compute the Jaccard distance of images from lists with equally many neighbours of each group.

    The list of an image has the ``k1 / G`` most similar images of each of the G groups, merged by similarity. Its code
    is averaged over the first ``k2`` images of each group, with equal weights of the groups. All else is
    :func:`usvi_bench.components.clustering.jaccard.jaccard_distance`. The search is exact.

    Args:
        features: ``[N, D]`` features, used without normalisation.
        groups: ``[N]`` group of each image, usually its modality.
        k1: length of the merged lists, a multiple of the number of groups.
        k2: number of images of each group in the local expansion, at most ``k1 / G``; 1 for no expansion.
        max_distance: largest distance to store, in ``(0, 1]``.

    Returns:
        ``[N, N]`` float32 as from :func:`usvi_bench.components.clustering.jaccard.jaccard_distance`.

    Raises:
        ValueError: fewer than two groups, a group with fewer than ``k1 / G`` images, or an argument out of range.
    """
    vectors = torch.as_tensor(features).detach().float().contiguous()
    group = torch.as_tensor(groups).to(vectors.device)
    (numbers,) = nested_groups(group, len(vectors))
    count = int(numbers.max()) + 1
    if count < 2:
        raise ValueError("balanced lists need images of at least two groups, but all images are of one group")
    each = k1 // count
    if k1 % count or not 1 <= k2 <= each or not 0 < max_distance <= 1:
        raise ValueError(
            f"k1={k1}, k2={k2}, max_distance={max_distance} with {count} groups: choose k1 as a multiple of {count}, "
            f"k2 from 1 to k1 / {count}, max_distance in (0, 1]"
        )
    if (smallest := int(np.bincount(numbers).min())) < each:
        raise ValueError(
            f"k1={k1} needs {each} images of each group, but one group has {smallest}; use fewer neighbours"
        )
    similarity, rows = nearest_in_each(vectors, group, each)
    order = similarity.flatten(1).sort(dim=1, descending=True, stable=True).indices
    averaged = rows[:, :, :k2].flatten(1) if k2 > 1 else None
    return distance_of_lists(vectors, rows.flatten(1).gather(1, order), averaged, [numbers], max_distance)
