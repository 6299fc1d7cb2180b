"""What there is one of for each modality, by the modality's name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from torch import Tensor

from usvi_bench.core.types import MODALITIES, Batch, Features, Modality, PseudoLabels

T = TypeVar("T")


def by_modality(pair: Iterable[T]) -> dict[Modality, T]:
    """The visible and the infrared one of a pair, by name."""
    return dict(zip(MODALITIES, pair, strict=True))


def view_labels(batch: Batch) -> dict[Modality, Tensor]:
    """Clusters of all views of a batch, view after view."""
    return by_modality((batch.visible.view_labels, batch.infrared.view_labels))


def clustered(features: Features, labels: PseudoLabels) -> dict[Modality, tuple[Tensor, Tensor]]:
    """Features and clusters of all training images: what memories are made of."""
    return by_modality(((features.visible, labels.visible), (features.infrared, labels.infrared)))
