"""The second batch of an iteration, by clusters of both modalities together: PCLHD and DMIC take a step on it."""

from __future__ import annotations

from torch import Tensor

from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.types import OUTLIER, Batch, NextBatch


class JointBatches:
    """Batches by the ``joint`` labels of an epoch; none from when these turn out too few to fill one.

    Args:
        labels: joint clusters of the visible and of the infrared images that may be drawn.
    """

    def __init__(self, labels: tuple[Tensor, Tensor]) -> None:
        self.drawable = all(bool((part != OUTLIER).any()) for part in labels)

    def next(self, next_batch: NextBatch) -> Batch | None:
        """The next batch, or None for the rest of the epoch."""
        if self.drawable:
            try:
                return next_batch("joint")
            except TooFewClustersError:
                self.drawable = False
        return None
