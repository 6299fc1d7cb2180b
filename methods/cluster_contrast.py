"""Dual cluster contrast: the baseline, and the first stage of most other methods.

"Cluster Contrast for Unsupervised Person Re-Identification", Dai Z. et al., ACCV 2022,
https://arxiv.org/abs/2103.11568. It is applied to each modality as in the first stage of ADCA, "Augmented
Dual-Contrastive Aggregation Learning for Unsupervised Visible-Infrared Person Re-Identification", ACM MM 2022,
https://doi.org/10.1145/3503161.3548198.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.clustering.labelling import Clustering, cluster_each_modality
from usvi_bench.components.clustering.neighbours import Search
from usvi_bench.components.memory.cluster import ClusterMemory, update_together
from usvi_bench.components.memory.rules import Update
from usvi_bench.components.unit import detached
from usvi_bench.core.bounds import COUNT, TINY, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, Losses, PseudoLabels, StageProgress
from usvi_bench.methods.base import Method, MethodConfig, Stage


@dataclass(frozen=True)
class ClusterContrastConfig(MethodConfig):
    """Hyper-parameters of dual cluster contrast; the paper's symbols are in brackets."""

    eps: float = bounded(0.6, TINY, 1 - TINY)
    """Largest Jaccard distance between neighbours in DBSCAN."""
    k1: int = bounded(30, 1, COUNT)
    """Number of nearest neighbours in the k-reciprocal encoding."""
    k2: int = bounded(6, 1, COUNT)
    """Number of nearest neighbours whose encodings are averaged (local expansion)."""
    min_samples: int = bounded(4, 1, COUNT)
    """Number of images within ``eps``, itself included, that make an image a core point of DBSCAN."""
    search: Search = "auto"
    """Neighbour search: exact, faiss (exact, by faiss), approximate, or auto. ``auto`` is exact on a GPU, and on a CPU
    up to 200,000 images."""
    temperature: float = bounded(0.05, TINY, 1000)
    """Temperature of the softmax over the rows of a memory [tau]."""
    momentum: float = bounded(0.1, 0, 1)
    """Weight of the old row in a memory update [mu]."""
    update: Update = "sequential"
    """Rule by which the samples of a batch update the rows of their clusters: sequential, hard or mean."""
    normalise_features: bool = True
    """Normalise the flip-averaged features before clustering; the released code does not."""

    @property
    def clustering(self) -> Clustering:
        """Settings of the clustering of one modality."""
        return Clustering(self.eps, self.k1, self.k2, self.min_samples, self.normalise_features, self.search)


def warmup(config: ClusterContrastConfig, epochs: int | None = None, update: Update | None = None) -> Stage:
    """Return the first stage of a method that builds on dual cluster contrast.

    Equal first stages are trained once, for all methods and all rows of their ablations.

    Args:
        config: hyper-parameters of the method. The stage takes the fields of :class:`ClusterContrastConfig`, except
            ``update``.
        epochs: length in epochs, or None for ``train.epochs``.
        update: update rule of the memories in the stage; None for the default of :class:`ClusterContrastConfig`.
    """
    shared = {f.name: getattr(config, f.name) for f in fields(ClusterContrastConfig) if f.name != "update"}
    first = ClusterContrastConfig(**shared)
    return Stage("cluster_contrast", replace(first, update=update) if update else first, epochs)


@METHODS.register("cluster_contrast")
class ClusterContrast(Method):
    """Dual cluster contrast: each modality is clustered alone and contrasted with a memory of its cluster centroids.

    The modalities are linked only by the shared layers and by an augmentation that removes colour from visible images.

    **Differs from** the released code (yangbincv/ADCA @8d0a8cb): memories are updated after the optimiser step
    instead of inside ``backward``, which changes results only if a memory is used twice in a step. Features are
    normalised before clustering (``normalise_features=false`` restores the original). As in that code, centroids are
    means of the flip-averaged features without normalisation.

    **Known publicly:** papers and code. **Our reconstruction:** nothing.
    """

    Config = ClusterContrastConfig
    summary = "dual cluster contrast, each modality on its own (baseline)"

    visible_memory: ClusterMemory
    infrared_memory: ClusterMemory
    unmatched: bool = False
    """Whether features in :meth:`updates` may have no row, -1."""

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        return cluster_each_modality(features, self.config.clustering)

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        self.visible_memory = self.make_memory(features.visible, labels.visible)
        self.infrared_memory = self.make_memory(features.infrared, labels.infrared)

    def make_memory(self, features: Tensor, labels: Tensor) -> ClusterMemory:
        """Build a memory whose rows start at the centroids of the clusters."""
        rows = centroids(features, labels)
        return ClusterMemory(rows, self.config.temperature, self.config.momentum, self.config.update)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        return self.contrast(*self.embed_batch(batch), batch)

    def contrast(self, visible: Tensor, infrared: Tensor, batch: Batch) -> Losses:
        """Contrast each modality with the memory ``M`` of its own clusters by DCL (dual contrastive learning).

        ``L_DCL = C_v + C_r`` with ``C = -mean_i log softmax_k(q_i.M_k / tau)[y_i]``, ``q_i`` a unit feature of cluster
        ``y_i``. The samples are kept in ``pending_updates`` for :meth:`end_step`.
        """
        own = batch.visible.view_labels, batch.infrared.view_labels
        self.pending_updates = (detached(visible), own[0]), (detached(infrared), own[1])
        return {
            "visible": self.visible_memory.loss(visible, own[0]),
            "infrared": self.infrared_memory.loss(infrared, own[1]),
        }

    def end_step(self, progress: StageProgress) -> None:
        """Update the rows: ``M_y <- unit(mu M_y + (1 - mu) q)`` for every sample in turn, or by the rule ``update``."""
        update_together(self.updates(), self.unmatched)

    def updates(self) -> list[tuple[ClusterMemory, Tensor, Tensor]]:
        """Return the updates after a step, in order: memory, features, and their rows in it."""
        visible, infrared = self.pending_updates
        return [(self.visible_memory, *visible), (self.infrared_memory, *infrared)]
