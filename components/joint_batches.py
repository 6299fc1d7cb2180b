"""Batches drawn by clusters of both modalities together, for the second optimiser step of PCLHD and DMIC."""

from __future__ import annotations

from torch import Tensor

from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.types import OUTLIER, Batch, NextBatch


class JointBatches:
    """Joint batches of one epoch, drawn by the ``joint`` labels.

    Args:
        labels: joint clusters of the visible and of the infrared images; outliers (-1) are not drawn.
    """

    def __init__(self, labels: tuple[Tensor, Tensor]) -> None:
        self.drawable = all(bool((part != OUTLIER).any()) for part in labels)

    def next(self, next_batch: NextBatch) -> Batch | None:
        """Draw the next batch. Return None, from then on in the whole epoch, if there are too few clusters."""
        if self.drawable:
            try:
                return next_batch("joint")
            except TooFewClustersError:
                self.drawable = False
        return None
