"""Cross-modal contrast: which modality is contrasted with the other's memory in an epoch, and with which rows.

The pieces that PGM (Wu and Ye, CVPR 2023; zesenwu23/USL-VI-ReID @ed4a7df) and its successors share.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.association import UNMATCHED, match, paired
from usvi_bench.components.clustering.labelling import centroids_of
from usvi_bench.core.types import MODALITIES, Features, Modality, PseudoLabels


def matched(features: Features, labels: PseudoLabels, progressive: bool = True) -> PseudoLabels:
    """Add the partner of every cluster to labels, found by progressive graph matching of the centroids.

    Args:
        features: of the whole training set.
        labels: clusters of each modality.
        progressive: see :func:`usvi_bench.components.association.match`.

    Raises:
        ValueError: a modality has no clusters.
    """
    visible, infrared = map(normalize, centroids_of(features, labels))  # exactly the rows that memories start with
    return paired(labels, match(visible, infrared, progressive))


def cross_direction(epoch: int) -> tuple[Modality, Modality]:
    """Return the source and the target of an epoch: whose samples are contrasted with whose memory.

    Visible samples are contrasted with the infrared memory in even epochs, infrared ones with the visible memory in odd
    epochs (alternate learning).
    """
    visible, infrared = MODALITIES
    return (visible, infrared) if epoch % 2 == 0 else (infrared, visible)


def select_matched(features: Tensor, labels: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
    """Select the samples whose cluster has a partner, and their rows in the other modality's memory.

    Args:
        features: ``[B, D]`` of one modality; gradients pass.
        labels: ``[B]`` clusters of that modality.
        partners: ``[C]`` partner of each of its clusters in the other modality, -1 for none.

    Returns:
        ``[b, D]`` features and ``[b]`` rows, ``b`` from 0 to ``B``.
    """
    rows = partners[labels]
    kept = rows != UNMATCHED
    return features[kept], rows[kept]
