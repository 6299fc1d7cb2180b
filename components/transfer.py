"""Labels carried over to the other modality: the nearest prototype, if it is near by that prototype's own measure.

BRST, bidirectional reverse selection transmission, of HIL (https://arxiv.org/abs/2509.11587; haonanshi0125/HIL
@09c857a), after the label correction of RPNR (XiangboYin/RPNR @6647f21).
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
    """Label of the most similar prototype for every clustered image that passes the gate (BRST).

    ``y_i = k*`` if ``cos(x_i, P_k*) >= threshold max_j cos(x_j, P_k*)`` with ``k* = argmax_k cos(x_i, P_k)``, else -1.

    An image passes if its cosine with its nearest prototype reaches ``threshold`` times the largest cosine that any
    image of its modality, outlier or not, has with that prototype. Its own cluster counts only as proof that it is no
    outlier.

    Args:
        features: ``[N, D]`` of one modality, of any length.
        labels: ``[N]`` clusters of that modality.
        prototypes: ``[K, D]`` of the other modality, of any length.
        threshold: of the gate [tau]; 0 lets (nearly) everything pass.

    Returns:
        ``[N]`` rows of ``prototypes``, -1 for outliers and for images that the gate stops.
    """
    cosine = normalize(features, dim=1) @ normalize(prototypes, dim=1).t()
    reach = cosine.amax(dim=0)
    best, nearest = cosine.max(dim=1)
    return torch.where((labels != OUTLIER) & (best >= threshold * reach[nearest]), nearest, OUTLIER)


def transferred(features: Features, own: PseudoLabels, modality: Modality, threshold: float) -> PseudoLabels:
    """The labels, where the images of one modality have the clusters of the other instead of their own.

    Clusters that then hold images of both are their own partners.

    Args:
        features: of the whole training set.
        own: clusters of each modality.
        modality: whose images are labelled anew.
        threshold: of the gate [tau].

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
