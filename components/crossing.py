"""Cross-modal contrast of PGM and its successors: which modality is contrasted with which rows in an epoch.

Wu and Ye, CVPR 2023 (zesenwu23/USL-VI-ReID @ed4a7df).
"""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from usvi_bench.components.association import UNMATCHED, match, paired
from usvi_bench.components.clustering.labelling import centroids_of
from usvi_bench.core.types import MODALITIES, Features, Modality, PseudoLabels


def matched(features: Features, labels: PseudoLabels, progressive: bool = True) -> PseudoLabels:
    """Match the clusters of the two modalities by progressive graph matching (PGM) of their centroids.

    Args:
        features: features of the whole training set.
        labels: clusters of each modality.
        progressive: see :func:`usvi_bench.components.association.match`.

    Returns:
        The labels with the partner of every cluster in ``labels["partners"]``.

    Raises:
        ValueError: a modality has no clusters.
    """
    visible, infrared = map(normalize, centroids_of(features, labels))  # exactly the rows that memories start with
    return paired(labels, match(visible, infrared, progressive))


def cross_direction(epoch: int) -> tuple[Modality, Modality]:
    """Return the source and the target modality of an epoch in alternate cross contrastive learning.

    Samples of the source are contrasted with the memory of the target. The source is visible in even epochs and
    infrared in odd epochs.

    >>> cross_direction(0), cross_direction(1)
    (('visible', 'infrared'), ('infrared', 'visible'))
    """
    visible, infrared = MODALITIES
    return (visible, infrared) if epoch % 2 == 0 else (infrared, visible)


def any_unmatched(labels: PseudoLabels) -> bool:
    """Return whether some cluster has no partner. Called once an epoch, so that no step has to wait for the device."""
    return bool((torch.cat(labels["partners"]) == UNMATCHED).any())
