"""Journal entry of an epoch: position, cluster counts, and label quality measured with true identities.

These figures are written to the journal and never used for training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from usvi_bench.core.process_memory import peak_memory_mib
from usvi_bench.core.types import OUTLIER, PseudoLabels, StageProgress
from usvi_bench.engine.check_method import check_diagnostics
from usvi_bench.engine.plan import StagePlan
from usvi_bench.methods.base import Method

Labels = NDArray[np.int64]


def epoch_entry(
    plan: StagePlan,
    progress: StageProgress,
    labels: PseudoLabels,
    identities: PseudoLabels,
    method: Method,
    device: torch.device,
) -> dict[str, Any]:
    """Build the journal entry of an epoch, without its losses and costs.

    Args:
        plan: stage that the epoch belongs to.
        progress: the epoch.
        labels: pseudo-labels of the epoch.
        identities: true identities, used only for the diagnosis.
        method: method that trains; its own diagnostics are added.
        device: device that it trains on.
    """
    figures = method.diagnostics()
    check_diagnostics(figures, plan.method)
    parts = {"visible": labels.visible, "infrared": labels.infrared}
    true = {"visible": identities.visible, "infrared": identities.infrared}
    return {
        "kind": "epoch",
        "fold": plan.fold,
        "stage": plan.method,
        "stage_index": plan.position,
        "epoch": progress.epoch,
        "epochs": progress.epochs,
        "steps": progress.steps,
        "iteration": (progress.epoch + 1) * progress.steps,
        "images": {name: len(part) for name, part in parts.items()},
        "clusters": {name: int(part.max()) + 1 for name, part in parts.items()},
        "outliers": {name: int((part < 0).sum()) for name, part in parts.items()},
        "identities": {name: len(part[part >= 0].unique()) for name, part in true.items()},
        "quality": label_quality(labels, *(part.cpu().numpy() for part in true.values())),
        "diagnostics": {name: float(value) for name, value in figures.items()},
        "peak_memory_mib": peak_memory_mib(device),
    }


def label_quality(labels: PseudoLabels, visible: Labels, infrared: Labels) -> dict[str, Any]:
    """Measure how well the clusters agree with identities; outliers and images of unknown people are left out.

    Args:
        visible: ``[N]`` true identities of the visible images; -1 if unknown.
        infrared: ``[M]`` true identities of the infrared images; -1 if unknown.

    Returns:
        For each modality, ``ari``, ``nmi`` and ``purity`` (None without clusters of known people). For the association
        (None without one), ``match_accuracy``, the share of matched visible clusters whose partner has the same
        majority identity, and ``match_precision`` and ``match_recall``, see :func:`pair_agreement`. For clusters over
        both modalities (None without them), ``joint_precision`` and ``joint_recall``, see :func:`joint_agreement`. For
        classes that associated clusters share, if there are any, ``matched_ari`` over both modalities.
    """
    parts = {
        "visible": _known(_array(labels.visible), visible),
        "infrared": _known(_array(labels.infrared), infrared),
    }
    quality: dict[str, Any] = {name: _agreement(*pair) for name, pair in parts.items()}
    quality |= dict.fromkeys(("match_accuracy", "match_precision", "match_recall", "joint_precision", "joint_recall"))
    if labels.visible_to_infrared is not None:
        partner = _array(labels.visible_to_infrared)
        own = majority_identity(*parts["visible"], len(partner))
        other = majority_identity(*parts["infrared"], int(partner.max(initial=0)) + 1)
        matched = (partner >= 0) & (own >= 0) & (other[partner] >= 0)
        if matched.any():
            quality["match_accuracy"] = float(np.mean(own[matched] == other[partner[matched]]))
            quality["match_precision"], quality["match_recall"] = pair_agreement(
                parts["visible"], parts["infrared"], partner
            )
    if "joint_clusters" in labels.extra and all(len(known) for known, _ in parts.values()):
        first, second = map(_array, labels["joint_clusters"])
        quality["joint_precision"], quality["joint_recall"] = joint_agreement(
            _known(first, visible), _known(second, infrared)
        )
    if "matched" in labels.extra:
        true = np.concatenate([visible, infrared])
        quality["matched_ari"] = _agreement(*_known(_array(torch.cat(labels["matched"])), true))["ari"]
    return quality


def joint_agreement(visible: tuple[Labels, Labels], infrared: tuple[Labels, Labels]) -> tuple[float, float]:
    """Compute :func:`pair_agreement` of clusters over both modalities; images of one cluster are a declared pair."""
    count = max(labels.max(initial=OUTLIER) for labels, _ in (visible, infrared)) + 1
    return pair_agreement(visible, infrared, np.arange(count))


def pair_agreement(
    visible: tuple[Labels, Labels], infrared: tuple[Labels, Labels], partner: Labels
) -> tuple[float, float]:
    """Compute precision and recall of the pairs (visible image, infrared image) that an association declares.

    A pair is declared if the clusters of both images are matched, and it is correct if both images show one person.
    Outliers are in no declared pair, which lowers recall.

    Two visible images of person 7 are matched with their infrared image. The pair of person 8 is missed.

    >>> visible, infrared = (np.array([0, 0, -1]), np.array([7, 7, 8])), (np.array([0, 1]), np.array([7, 8]))
    >>> precision, recall = pair_agreement(visible, infrared, partner=np.array([0]))
    >>> precision, round(recall, 3)
    (1.0, 0.667)

    Args:
        visible: ``[N]`` clusters and ``[N]`` identities of the visible images.
        infrared: ``[M]`` clusters and ``[M]`` identities of the infrared images.
        partner: ``[K]`` infrared cluster of each visible cluster, -1 for none.

    Returns:
        The share of declared pairs that are correct (0 without declared pairs), and the share of correct pairs that
        are declared (0 if no person has images in both modalities).
    """
    names = np.unique(np.concatenate([visible[1], infrared[1]]))
    matched = partner >= 0
    first = _contingency(*visible, names, len(partner))
    second = _contingency(*infrared, names, int(partner.max(initial=0)) + 1)
    joined, others = first[matched], second[partner[matched]]
    right = int(np.sum(joined * others))
    declared = int(np.sum(joined.sum(axis=1) * others.sum(axis=1)))
    true = sum(int(np.sum(visible[1] == name)) * int(np.sum(infrared[1] == name)) for name in names)
    return right / max(declared, 1), right / max(true, 1)


def majority_identity(labels: Labels, identities: Labels, least: int = 0) -> Labels:
    """Return the most frequent identity of each cluster, ``[K]``, ``K >= least``; the smallest on ties.

    Clusters without images have the identity -1.

    >>> majority_identity(np.array([0, 0, 1, -1]), np.array([5, 6, 6, 5]), least=3).tolist()
    [5, 6, -1]
    """
    names = np.unique(identities)
    counts = _contingency(labels, identities, names, least)
    majority = np.full(len(counts), -1)
    filled = counts.any(axis=1)
    majority[filled] = names[counts[filled].argmax(axis=1)] if filled.any() else -1
    return majority


def _known(labels: Labels, identities: Labels) -> tuple[Labels, Labels]:
    """Select the images of known people."""
    known = identities >= 0
    return labels[known], identities[known]


def _contingency(labels: Labels, identities: Labels, names: Labels, least: int = 0) -> Labels:
    """Count the images of each cluster and identity, ``[K, len(names)]``; ``K >= least``, ``names`` are sorted."""
    kept = labels != OUTLIER
    counts = np.zeros((max(int(labels.max(initial=-1)) + 1, least), len(names)), dtype=np.int64)
    np.add.at(counts, (labels[kept], np.searchsorted(names, identities[kept])), 1)
    return counts


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
