"""Per-modality dictionaries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from torch import Tensor

from usvi_bench.core.types import MODALITIES, Batch, Features, Modality, PseudoLabels

T = TypeVar("T")


def by_modality(pair: Iterable[T]) -> dict[Modality, T]:
    """Turn a (visible, infrared) pair into a dictionary."""
    return dict(zip(MODALITIES, pair, strict=True))


def view_labels(batch: Batch) -> dict[Modality, Tensor]:
    """Return the clusters of all views of a batch, one view after another."""
    return by_modality((batch.visible.view_labels, batch.infrared.view_labels))


def clustered(features: Features, labels: PseudoLabels) -> dict[Modality, tuple[Tensor, Tensor]]:
    """Return the features and the clusters of all training images of each modality."""
    return by_modality(((features.visible, labels.visible), (features.infrared, labels.infrared)))
