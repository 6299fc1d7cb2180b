"""Batches of P clusters by K images, companions from other cameras first."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.core.errors import UsageError


class TooFewClustersError(UsageError):
    """Labels do not hold the clusters of a batch; a method may do without such batches."""


class PKSampler:
    """Draws batches of ``clusters`` x ``instances`` rows, the rule of Cluster Contrast and its descendants.

    A pass visits the clusters in random order, each once; what is left over when fewer than P clusters remain is
    dropped and a new pass begins. From a cluster come an anchor and K - 1 companions: from cameras other than the
    anchor's where the cluster has any, else from its own camera without the anchor. They are drawn with replacement
    if fewer than K candidates exist. Rule of alibaba/cluster-contrast-reid @57b62e9, but a cluster of one image
    gives that image K times (there it gives a single row, which shifts all later batches).

    Args:
        labels: ``[N]`` int64 clusters; rows labelled below 0 are never drawn.
        cameras: ``[N]`` int64 camera numbers.
        clusters: clusters in a batch (P).
        instances: rows of each (K).
        generator: source of all draws.

    Raises:
        TooFewClustersError: fewer than P clusters.
        UsageError: P or K below 1.
    """

    def __init__(
        self, labels: Tensor, cameras: Tensor, clusters: int, instances: int, generator: np.random.Generator
    ) -> None:
        if clusters < 1 or instances < 1:
            raise UsageError(f"a batch of {clusters} clusters x {instances} images: both must be at least 1")
        self._cameras: NDArray[np.int64] = cameras.cpu().numpy()
        self._members = _members(labels.cpu().numpy())
        if len(self._members) < clusters:
            raise TooFewClustersError(
                f"{len(self._members)} clusters in {len(labels)} images, but a batch draws {clusters}; "
                "lower --set train.visible_clusters / train.infrared_clusters, or change --set method.eps"
            )
        self._clusters, self._instances, self._generator = clusters, instances, generator
        self._pending: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def draw(self) -> Tensor:
        """The next batch: ``[P * K]`` int64 rows, cluster after cluster, each begun by its anchor."""
        if len(self._pending) < self._clusters:
            self._pending = self._generator.permutation(len(self._members))
        chosen, self._pending = self._pending[: self._clusters], self._pending[self._clusters :]
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
    """Rows of each cluster, clusters in ascending order; outliers left out."""
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], 0) :]
    if not len(order):
        return []
    _, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:])
