"""Batches whose last images of every view were drawn from all images, clustered or not."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.core.types import Samples


@dataclass(frozen=True)
class InstanceBatch:
    """One modality's rows in one step, view after view; the last two hold the images drawn from all, too.

    Attributes:
        features: ``[B, D]`` features of the images drawn by cluster, of any length.
        labels: ``[B]`` their clusters.
        all_features: ``[B + E, D]`` unit features of all.
        index: ``[B + E]`` their images.
    """

    features: Tensor
    labels: Tensor
    all_features: Tensor
    index: Tensor

    @classmethod
    def of(cls, samples: Samples, features: Tensor, extra: int) -> InstanceBatch:
        """Sort out a batch of which ``extra`` images, the last of every view, were drawn from all."""
        views, count = len(samples.views), len(samples.index) - extra
        clustered = features.unflatten(0, (views, -1))[:, :count].flatten(0, 1)
        return cls(clustered, samples.labels[:count].repeat(views), normalize(features), samples.index.repeat(views))
