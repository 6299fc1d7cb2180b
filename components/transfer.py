"""Label transfer between modalities: bidirectional reverse selection transmission (BRST) of HIL, and votes of SDCL.

https://arxiv.org/abs/2509.11587; haonanshi0125/HIL @09c857a, after the label correction of RPNR (XiangboYin/RPNR
@6647f21); yangbincv/SDCL @6033332.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import OUTLIER, Features, Modality, PseudoLabels

BLOCK = 4096
"""Number of images whose similarities are held in memory at once."""


def transfer_labels(features: Tensor, labels: Tensor, prototypes: Tensor, threshold: float) -> Tensor:
    """Transfer labels (BRST): y_i = k if cos(x_i, P_k) >= tau max_j cos(x_j, P_k), else -1; k is the nearest prototype.

    The maximum is over all images of the modality, outliers included. Outliers get no label. The formula is that of the
    released code (haonanshi0125/HIL @09c857a).

    >>> features = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> prototypes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> transfer_labels(features, torch.tensor([0, 0, -1]), prototypes, threshold=0.9)
    tensor([ 0, -1, -1])

    Args:
        features: ``[N, D]`` features of one modality, of any length [x].
        labels: ``[N]`` clusters of that modality; they only mark the outliers (-1).
        prototypes: ``[K, D]`` prototypes of the other modality, of any length [P].
        threshold: threshold of the gate [tau].

    Returns:
        ``[N]`` rows of ``prototypes``, -1 for images without a label.
    """
    cosine = normalize(features, dim=1) @ normalize(prototypes, dim=1).t()
    reach = cosine.amax(dim=0)
    best, nearest = cosine.max(dim=1)
    return torch.where((labels != OUTLIER) & (best >= threshold * reach[nearest]), nearest, OUTLIER)


def transferred(features: Features, own: PseudoLabels, modality: Modality, threshold: float) -> PseudoLabels:
    """Label the images of one modality with the clusters of the other; see :func:`transfer_labels`.

    Args:
        features: features of the whole training set.
        own: clusters of each modality.
        modality: modality whose images get new labels.
        threshold: threshold of the gate [tau].

    Returns:
        Labels in which a cluster with images of both modalities is its own partner.

    Raises:
        UsageError: images of fewer than two clusters pass the gate.
    """
    visible, infrared = (features.visible, own.visible), (features.infrared, own.infrared)
    (images, labels), prototypes = (
        (visible, centroids(*infrared)) if modality == "visible" else (infrared, centroids(*visible))
    )
    moved = transfer_labels(images, labels, prototypes, threshold)
    return _with_labels(own, modality, moved, f"tau={threshold}", "method.tau")


def voted_labels(visible: Tensor, infrared: Tensor, clusters: Tensor, voters: int = 10, smoothers: int = 5) -> Tensor:
    """Label visible images by votes of infrared ones, then by votes among visible ones.

    An image gets the most frequent cluster of its nearest infrared images, of equally frequent ones that of the nearest
    image. Then it gets the most frequent label of the nearest visible images, itself included, of equally frequent ones
    the smallest. In both rounds -1 is a label like others. The rule and the numbers of images are those of SDCL's
    script for RegDB (yangbincv/SDCL @6033332), with one feature in place of its deep and its shallow one.

    >>> visible, infrared = torch.tensor([[1.0, 0.0], [0.9, 0.1]]), torch.tensor([[1.0, 0.0], [0.8, 0.2], [0.0, 1.0]])
    >>> voted_labels(visible, infrared, torch.tensor([4, 4, 7]), voters=3, smoothers=1)
    tensor([4, 4])

    Args:
        visible: ``[N, D]`` features, of any length.
        infrared: ``[M, D]`` features, of any length.
        clusters: ``[M]`` clusters of the infrared images.
        voters: number of infrared images that vote for the label of a visible one.
        smoothers: number of visible images that vote in the second round.

    Returns:
        ``[N]`` clusters, or -1.
    """
    visible, infrared = normalize(visible, dim=1), normalize(infrared, dim=1)
    votes = clusters[_nearest(visible, infrared, voters)]
    first = votes.gather(1, _frequency(votes).argmax(dim=1, keepdim=True))
    votes = first.squeeze(1)[_nearest(visible, visible, smoothers)]
    order = _frequency(votes) * (clusters.max() + 2) - votes
    return votes.gather(1, order.argmax(dim=1, keepdim=True)).squeeze(1)


def voted(features: Features, own: PseudoLabels) -> PseudoLabels:
    """Label visible images that are no outliers with infrared clusters by :func:`voted_labels`.

    Raises:
        UsageError: images of fewer than two clusters are left.
    """
    moved = voted_labels(features.visible, features.infrared, own.infrared)
    return _with_labels(own, "visible", moved.where(own.visible != OUTLIER, OUTLIER), "votes", "method.eps")


def _nearest(queries: Tensor, keys: Tensor, count: int) -> Tensor:
    """Find the rows of the nearest unit ``keys`` of each query, ``[N, count]``, nearest first."""
    count = min(count, len(keys))
    return torch.cat([(part @ keys.t()).topk(count).indices for part in queries.split(BLOCK)])


def _frequency(votes: Tensor) -> Tensor:
    """Count how often each of the votes ``[N, K]`` of a row is in it."""
    return (votes[:, :, None] == votes[:, None]).sum(dim=2)


def _with_labels(own: PseudoLabels, modality: Modality, moved: Tensor, rule: str, remedy: str) -> PseudoLabels:
    """Replace the labels of one modality; a cluster with images of both modalities is its own partner."""
    if (reached := len(moved[moved != OUTLIER].unique())) < 2:
        raise UsageError(f"{reached} clusters left after label transfer ({rule}); lower --set {remedy}")
    new = replace(own, visible=moved) if modality == "visible" else replace(own, infrared=moved)
    rows = torch.arange(int(new.visible.max()) + 1, device=moved.device)
    shared = torch.isin(rows, new.visible) & torch.isin(rows, new.infrared)
    return replace(new, visible_to_infrared=torch.where(shared, rows, OUTLIER))
