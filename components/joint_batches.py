"""Batches of clusters with images of both modalities, as long as there are enough such clusters."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.types import OUTLIER, Batch, NextBatch


class JointBatches:
    """Joint batches of one epoch, drawn by the ``joint`` labels unless another name is given.

    Args:
        labels: joint clusters of the visible and of the infrared images; outliers (-1) are not drawn.
        name: name of the pair of label vectors.
        **options: further arguments of the function that draws batches.
    """

    def __init__(self, labels: tuple[Tensor, Tensor], name: str = "joint", **options: Any) -> None:
        self.drawable = all(bool((part != OUTLIER).any()) for part in labels)
        self._name, self._options = name, options

    def next(self, next_batch: NextBatch) -> Batch | None:
        """Draw the next batch. Return None, from then on in the whole epoch, if there are too few clusters."""
        if self.drawable:
            try:
                return next_batch(self._name, **self._options)
            except TooFewClustersError:
                self.drawable = False
        return None
