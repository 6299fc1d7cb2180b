"""Sampling of P clusters by K images, with a preference for images of different cameras."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.core.errors import UsageError


class TooFewClustersError(UsageError):
    """Too few clusters to fill a batch; a method may continue without such batches."""


class PKSampler:
    """P x K sampler of batches with ``clusters`` x ``instances`` rows, as in Cluster Contrast and its successors.

    A pass visits each cluster once, in random order. When fewer than P clusters remain, they are dropped and a new pass
    begins. From each cluster an anchor and K - 1 further images are drawn: from other cameras than the anchor's if the
    cluster has any, else from the anchor's camera without the anchor. They are drawn with replacement if there are
    fewer than K candidates. The rule is that of alibaba/cluster-contrast-reid @57b62e9, except that a cluster of one
    image gives this image K times. There it gives a single row, which shifts all later batches.

    Args:
        labels: ``[N]`` int64 clusters; rows with a negative label are never drawn.
        cameras: ``[N]`` int64 camera numbers.
        clusters: number of clusters in a batch [P].
        instances: number of rows of each cluster [K].
        generator: generator of all draws.
        what: name of the rows in messages.

    Raises:
        TooFewClustersError: fewer than P clusters.
        UsageError: P or K below 1.
    """

    def __init__(
        self,
        labels: Tensor,
        cameras: Tensor,
        clusters: int,
        instances: int,
        generator: np.random.Generator,
        what: str = "images",
    ) -> None:
        if clusters < 1 or instances < 1:
            raise UsageError(f"a batch of {clusters} clusters x {instances} images: both must be at least 1")
        self._cameras: NDArray[np.int64] = cameras.cpu().numpy()
        self._members = _members(labels.cpu().numpy())
        if len(self._members) < clusters:
            raise TooFewClustersError(
                f"{len(self._members)} clusters in {len(labels)} {what}, but a batch draws {clusters}; "
                "lower --set train.visible_clusters / train.infrared_clusters, or change --set method.eps"
            )
        self._clusters, self._instances, self._generator = clusters, instances, generator
        self._pending: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def draw(self) -> Tensor:
        """Draw the next batch: ``[P * K]`` int64 rows, one cluster after another, each with its anchor first."""
        return self.draw_from(self.choose())

    def choose(self) -> NDArray[np.int64]:
        """Choose the clusters of the next batch: ``[P]`` positions among the clusters in ascending order."""
        if len(self._pending) < self._clusters:
            self._pending = self._generator.permutation(len(self._members))
        chosen, self._pending = self._pending[: self._clusters], self._pending[self._clusters :]
        return chosen

    def draw_from(self, chosen: NDArray[np.int64]) -> Tensor:
        """Draw a batch from clusters that :meth:`choose` returned, also that of a sampler with the same clusters."""
        return torch.from_numpy(np.concatenate([self._draw_cluster(self._members[index]) for index in chosen]))

    def _draw_cluster(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        anchor = self._generator.choice(members)
        others = members[self._cameras[members] != self._cameras[anchor]]
        if not len(others):
            others = members[members != anchor] if len(members) > 1 else members
        replace = len(others) < self._instances
        companions = self._generator.choice(others, self._instances - 1, replace=replace)
        return np.concatenate([[anchor], companions])


def _members(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """List the rows of each cluster, clusters in ascending order, without outliers."""
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], 0) :]
    if not len(order):
        return []
    _, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:])
