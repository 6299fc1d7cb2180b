"""The upper bound: the contrast of the other methods with true identities in place of clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.memory.cluster import ClusterMemory, Update
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, Losses, PseudoLabels, StageProgress
from usvi_bench.methods.base import Method, MethodConfig


@dataclass(frozen=True)
class SupervisedConfig(MethodConfig):
    """Hyper-parameters of the supervised bound."""

    temperature: float = 0.05
    """Of the contrast against the memory."""
    momentum: float = 0.1
    """Weight of the old entry in a memory update."""
    update: Update = "mean"
    """How a batch moves its identities' entries: sequential, hard or mean."""

    def __post_init__(self) -> None:
        self.check_range(1e-6, math.inf, "temperature")
        self.check_range(0, 1, "momentum")


@METHODS.register("supervised")
class Supervised(Method):
    """Both modalities are contrasted with one memory that has a row for every true identity.

    It uses the identities that the other methods never see, so it is no competitor: it says how far the encoder, the
    augmentation and one stage of the schedule get when neither clusters nor their association err. Its memory moves by
    means of the batch, that of ``cluster_contrast`` by each sample (``update``).
    """

    Config = SupervisedConfig
    uses_identities = True
    summary = "true identities, one memory for both modalities (upper bound, no competitor)"

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
