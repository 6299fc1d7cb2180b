"""The supervised bound: cluster contrast with true identities in place of clusters."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.rules import Update
from usvi_bench.core.bounds import TINY, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, Losses, PseudoLabels, StageProgress
from usvi_bench.methods.base import Method, MethodConfig


@dataclass(frozen=True)
class SupervisedConfig(MethodConfig):
    """Hyper-parameters of the supervised bound."""

    temperature: float = bounded(0.05, TINY, 1000)
    """Temperature of the softmax over the rows of the memory [tau]."""
    momentum: float = bounded(0.1, 0, 1)
    """Weight of the old row in a memory update [mu]."""
    update: Update = "mean"
    """Rule by which the samples of a batch update the rows of their identities: sequential, hard or mean."""


@METHODS.register("supervised")
class Supervised(Method):
    """Supervised bound: both modalities are contrasted with one memory that has a row for every true identity.

    It is trained with true identities, which no other method receives, so it is a reference and is not ranked. Its
    score shows what the encoder, the augmentation and one stage of the schedule reach without errors in clusters or in
    their association.

    **Differs from** ``cluster_contrast``: the memory is shared, and it is updated by the mean of an identity's samples
    (``update``).
    """

    Config = SupervisedConfig
    uses_identities = True
    summary = "one memory for both modalities, trained with true identities (upper reference; not ranked)"

    memory: ClusterMemory

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        everything = torch.cat([features.visible, features.infrared])
        rows = centroids(everything, torch.cat([labels.visible, labels.infrared]))
        self.memory = ClusterMemory(rows, self.config.temperature, self.config.momentum, self.config.update)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        visible, infrared = self.embed_batch(batch)
        labels = batch.visible.view_labels, batch.infrared.view_labels
        self.pending_updates = torch.cat([visible, infrared]).detach(), torch.cat(labels)
        return {
            "visible": self.memory.loss(visible, labels[0]),
            "infrared": self.memory.loss(infrared, labels[1]),
        }

    def end_step(self, progress: StageProgress) -> None:
        self.memory.update(*self.pending_updates)
