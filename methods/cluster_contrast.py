"""Dual cluster contrast, the baseline that the two-modality methods start from.

Cluster Contrast for Unsupervised Person Re-Identification, ACCV 2022 (https://arxiv.org/abs/2103.11568), applied
to each modality as in the first stage of Augmented Dual-Contrastive Aggregation Learning for Unsupervised
Visible-Infrared Person Re-Identification (ADCA), ACM MM 2022 (https://doi.org/10.1145/3503161.3548198).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.clustering.labelling import Clustering, cluster_each_modality
from usvi_bench.components.clustering.neighbours import Search
from usvi_bench.components.memory.cluster import ClusterMemory, Update
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, Losses, PseudoLabels, StageProgress
from usvi_bench.methods.base import Method, MethodConfig, Stage

TINY = 1e-6
"""Smallest value of what must be above 0."""


@dataclass(frozen=True)
class ClusterContrastConfig(MethodConfig):
    """Hyper-parameters of dual cluster contrast; the paper's symbols in brackets."""

    eps: float = 0.6
    """Largest Jaccard distance between neighbours in DBSCAN."""
    k1: int = 30
    """Neighbours in the k-reciprocal encoding."""
    k2: int = 6
    """Neighbours in its local expansion."""
    min_samples: int = 4
    """Neighbours that make an image a core point in DBSCAN."""
    search: Search = "auto"
    """How neighbours are found: exact, approximate, or auto (exact up to 200,000 images on a CPU, always on a GPU)."""
    temperature: float = 0.05
    """Of the contrast against the memory [tau]."""
    momentum: float = 0.1
    """Weight of the old entry in a memory update [mu]."""
    update: Update = "sequential"
    """How a batch moves its clusters' entries: sequential, hard or mean."""
    normalise_features: bool = True
    """Give flip-averaged features unit length before clustering; the released code does not."""

    def __post_init__(self) -> None:
        self.check_range(1, math.inf, "k1", "k2", "min_samples")
        self.check_range(TINY, 1 - TINY, "eps")
        self.check_range(TINY, math.inf, "temperature")
        self.check_range(0, 1, "momentum")

    @property
    def clustering(self) -> Clustering:
        """How the images of a modality are clustered."""
        return Clustering(self.eps, self.k1, self.k2, self.min_samples, self.normalise_features, self.search)


def warmup(config: ClusterContrastConfig, epochs: int | None = None, update: Update | None = None) -> Stage:
    """The first stage of the methods that build on this one: one training serves them all, and all their ablations.

    Args:
        config: of the method; the fields it shares with dual cluster contrast count, but for the update rule.
        epochs: length, or None for ``train.epochs``.
        update: how batches move centroids in it; by default as in :class:`ClusterContrast`.
    """
    shared = {f.name: getattr(config, f.name) for f in fields(ClusterContrastConfig) if f.name != "update"}
    first = ClusterContrastConfig(**shared)
    return Stage("cluster_contrast", replace(first, update=update) if update else first, epochs)


@METHODS.register("cluster_contrast")
class ClusterContrast(Method):
    """Each modality is clustered alone and contrasted with a memory of its cluster centroids.

    Nothing ties the modalities but the shared layers and an augmentation that makes visible images colourless.

    **Differs from** the released code (yangbincv/ADCA @8d0a8cb): memories move after the optimiser step instead of
    inside ``backward`` (the same unless a memory is read twice in a step); features are normalised before
    clustering (``normalise_features=false`` restores the original). Centroids are means of the features as they
    come, flip-averaged and not normalised, as in that code.
    """

    Config = ClusterContrastConfig
    summary = "dual cluster contrast, each modality on its own (baseline)"

    visible_memory: ClusterMemory
    infrared_memory: ClusterMemory

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        return cluster_each_modality(features, self.config.clustering)

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        self.visible_memory = self.make_memory(features.visible, labels.visible)
        self.infrared_memory = self.make_memory(features.infrared, labels.infrared)

    def make_memory(self, features: Tensor, labels: Tensor) -> ClusterMemory:
        """A memory that starts at the clusters' centroids."""
        rows = centroids(features, labels)
        return ClusterMemory(rows, self.config.temperature, self.config.momentum, self.config.update)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        return self.contrast(*self.embed_batch(batch), batch)

    def contrast(self, visible: Tensor, infrared: Tensor, batch: Batch) -> Losses:
        """DCL (dual contrastive learning): contrast each modality with the memory ``M`` of its clusters.

        ``L_DCL = C_v + C_r`` with ``C = -mean_i log softmax_k(q_i.M_k / tau)[y_i]``, ``q_i`` a unit feature of cluster
        ``y_i``. What moves the memories after the step is kept in ``pending_updates``.
        """
        labels = batch.visible.view_labels
        self.pending_updates = (visible.detach(), labels), (infrared.detach(), batch.infrared.view_labels)
        return {
            "visible": self.visible_memory.loss(visible, labels),
            "infrared": self.infrared_memory.loss(infrared, batch.infrared.view_labels),
        }

    def end_step(self, progress: StageProgress) -> None:
        """Move the rows: ``M_y <- unit(mu M_y + (1 - mu) q)`` for every sample in turn, or by the rule ``update``."""
        visible, infrared = self.pending_updates
        self.visible_memory.update(*visible)
        self.infrared_memory.update(*infrared)
