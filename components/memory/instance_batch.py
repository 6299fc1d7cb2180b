"""Batches with extra images of every view that were drawn from all images, outliers included."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from usvi_bench.components.unit import unit
from usvi_bench.core.types import Samples


@dataclass(frozen=True)
class InstanceBatch:
    """Instance batch: rows of one modality in one step, one view after another.

    Attributes:
        features: ``[B, D]`` features of the images drawn by cluster, of any length.
        labels: ``[B]`` clusters of these images.
        all_features: ``[B + E, D]`` unit features of these images and of the extra images.
        index: ``[B + E]`` images of ``all_features``.
    """

    features: Tensor
    labels: Tensor
    all_features: Tensor
    index: Tensor

    @classmethod
    def of(cls, samples: Samples, features: Tensor, extra: int) -> InstanceBatch:
        """Split a batch whose last ``extra`` images of every view were drawn from all images."""
        views, count = len(samples.views), len(samples.index) - extra
        clustered = features.unflatten(0, (views, -1))[:, :count].flatten(0, 1) if extra else features
        return cls(clustered, samples.labels[:count].repeat(views), unit(features), samples.index.repeat(views))
