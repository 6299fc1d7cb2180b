"""Pseudo-labels of a whole training set."""

from __future__ import annotations

from components.clustering import pseudo_labels
from components.neighbours import Search
from engine.types import Features, PseudoLabels


def cluster_each_modality(
    features: Features,
    *,
    eps: float,
    k1: int,
    k2: int,
    min_samples: int,
    normalise: bool,
    search: Search = "auto",
) -> PseudoLabels:
    """Cluster each modality on its own: k-reciprocal Jaccard distance, then DBSCAN.

    Args:
        eps: largest distance between neighbours.
        k1: neighbours in the k-reciprocal encoding.
        k2: neighbours in its local expansion.
        min_samples: neighbours that make an image a core point.
        search: how neighbours are found, see :func:`components.neighbours.nearest`.
        normalise: give the flip-averaged features unit length first. ADCA, PGM and PCLHD do not.

    Raises:
        UsageError: a modality has fewer images than ``k1``, or falls into fewer than two clusters.
    """
    if normalise:
        features = features.normalised()
    visible, infrared = (
        pseudo_labels(part, eps=eps, k1=k1, k2=k2, min_samples=min_samples, search=search, what=what)
        for part, what in (
            (features.visible, "visible"),
            (features.infrared, "infrared"),
        )
    )
    return PseudoLabels(visible=visible, infrared=infrared)
