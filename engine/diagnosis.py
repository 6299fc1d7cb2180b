"""How good the pseudo-labels are, measured with true identities: for the journal only, never for training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from engine.types import OUTLIER, PseudoLabels

Labels = NDArray[np.int64]


def label_quality(labels: PseudoLabels, visible: Labels, infrared: Labels) -> dict[str, Any]:
    """Agreement of clusters with identities, over clustered images.

    Args:
        visible: ``[N]`` true identities of the visible images.
        infrared: ``[M]`` true identities of the infrared images.

    Returns:
        For each modality ``ari``, ``nmi`` and ``purity`` (None without clusters), and ``match_accuracy``: the share
        of visible clusters whose partner's majority identity is their own (None without association).
    """
    parts = {"visible": (_array(labels.visible), visible), "infrared": (_array(labels.infrared), infrared)}
    quality: dict[str, Any] = {name: _agreement(*pair) for name, pair in parts.items()}
    quality["match_accuracy"] = None
    if labels.visible_to_infrared is not None:
        own, other = (majority_identity(*pair) for pair in parts.values())
        partner = _array(labels.visible_to_infrared)
        matched = partner >= 0
        if matched.any():
            quality["match_accuracy"] = float(np.mean(own[matched] == other[partner[matched]]))
    return quality


def majority_identity(labels: Labels, identities: Labels) -> Labels:
    """The most frequent identity of each cluster ``[K]``; the smallest on ties."""
    names, codes = np.unique(identities, return_inverse=True)
    kept = labels != OUTLIER
    counts = np.zeros((int(labels.max(initial=-1)) + 1, len(names)), dtype=np.int64)
    np.add.at(counts, (labels[kept], codes[kept]), 1)
    majority: Labels = names[counts.argmax(axis=1)]
    return majority


def _agreement(labels: Labels, identities: Labels) -> dict[str, float | None]:
    kept = labels != OUTLIER
    if not kept.any():
        return {"ari": None, "nmi": None, "purity": None}
    labels, identities = labels[kept], identities[kept]
    purity = np.mean(majority_identity(labels, identities)[labels] == identities)
    return {
        "ari": float(adjusted_rand_score(identities, labels)),
        "nmi": float(normalized_mutual_info_score(identities, labels)),
        "purity": float(purity),
    }


def _array(labels: Tensor) -> Labels:
    array: Labels = labels.to("cpu", torch.int64).numpy()
    return array
