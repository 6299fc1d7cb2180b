"""Label transfer between modalities: bidirectional reverse selection transmission (BRST) of HIL.

https://arxiv.org/abs/2509.11587; haonanshi0125/HIL @09c857a, after the label correction of RPNR (XiangboYin/RPNR
@6647f21).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import OUTLIER, Features, Modality, PseudoLabels


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
    if (reached := len(moved[moved != OUTLIER].unique())) < 2:
        raise UsageError(f"{reached} clusters left after label transfer (tau={threshold}); lower --set method.tau")
    new = replace(own, visible=moved) if modality == "visible" else replace(own, infrared=moved)
    rows = torch.arange(int(new.visible.max()) + 1, device=moved.device)
    shared = torch.isin(rows, new.visible) & torch.isin(rows, new.infrared)
    return replace(new, visible_to_infrared=torch.where(shared, rows, OUTLIER))
