"""DMIC: modality-camera invariant expansion (MIE), dynamic neighbourhood clustering (DNC), hybrid contrast (HMCL).

"Dynamic Modality-Camera Invariant Clustering for Unsupervised Visible-Infrared Person Re-Identification", Yang Y.,
Hu W., He Q., Hu H., IEEE TNNLS (2025), https://arxiv.org/abs/2412.08231.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Generator, Tensor

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.clustering.labelling import cameras_of_each, cluster_each_modality, cluster_jointly, in_both
from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hybrid import joint_centroids
from usvi_bench.components.memory.instance_contrast import ClusteredInstanceMemory, overwrite
from usvi_bench.components.memory.module_dict import module_dict
from usvi_bench.components.modalities import clustered
from usvi_bench.core.bounds import COUNT, EPOCHS, TINY, WEIGHT, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import (
    MODALITIES,
    OUTLIER,
    Batch,
    Features,
    Losses,
    NextBatch,
    Optimise,
    PseudoLabels,
    StageProgress,
)
from usvi_bench.methods.base import Method, Stage
from usvi_bench.methods.cluster_contrast import ClusterContrastConfig


@dataclass(frozen=True)
class DMICConfig(ClusterContrastConfig):
    """Hyper-parameters of DMIC; the paper's symbols are in brackets. Defaults are those for SYSU-MM01."""

    eps: float = 0.6
    """Largest Jaccard distance between neighbours in DBSCAN; with ``dnc`` its upper bound [pi_2]."""
    k1: int = 40
    """Number of nearest neighbours in the k-reciprocal encoding, of one modality and of both."""
    k2: int = 6
    """Number of nearest neighbours in the local expansion of one modality; with ``dnc`` its value at the start of a
    phase [epsilon_1]."""
    phase: Literal["intra", "inter"] = "inter"
    """Last phase of a training: the intra-modality phase alone, or the inter-modality phase after it."""
    intra_epochs: int | None = bounded(None, 1, EPOCHS)
    """Epochs of the intra-modality phase before another; None for the length of the inter-modality phase."""
    mie: bool = True
    """Use modality-camera invariant expansion (MIE). False: the plain mean over the nearest neighbours, also in the
    joint clustering."""
    mie_mode: Literal["two_level", "flat"] = "two_level"
    """Weights in the joint expansion. ``two_level``: equal weights of the modalities, and of the cameras within a
    modality. ``flat``: equal weights of all cameras."""
    dnc: bool = True
    """Use dynamic neighbourhood clustering (DNC). False: constant ``eps`` and ``k2``."""
    narrowing: float = bounded(0.5, TINY, 1)
    """Ratio of the smallest to the largest ``eps`` [sigma_n = pi_1 / pi_2 = 1 / sigma_b]."""
    widening: float = bounded(3.0, 1, 100)
    """Ratio of ``k2`` at the end and at the start of a phase [sigma_k = epsilon_2 / epsilon_1]; ``k2`` never exceeds
    ``k1``."""
    turn: float = bounded(0.2, 0, 1)
    """Fraction of the inter-modality phase in which ``eps`` falls before it rises: 10 of 50 epochs."""
    joint_k2: int = bounded(32, 1, COUNT)
    """Number of nearest neighbours in the local expansion of both modalities [epsilon_3]; at most ``k1``."""
    real_time: bool = True
    """Replace a cluster's row by the feature of a random sample of it in the batch. False: the rule ``update``."""
    intra_instance: bool = True
    """Use the instance-level contrast within the modalities [IC-1]."""
    inter_instance: bool = True
    """Use the instance-level contrast with the images of both modalities [IC-2]."""
    instance_loss: Literal["nca", "single", "mean", "self"] = "nca"
    """Positive of the instance-level contrast: all images of the cluster (``nca``, neighbourhood component analysis), a
    random one (``single``), the mean of their similarities (``mean``), or the own image (``self``)."""
    instance_weight: float = bounded(0.1, 0, WEIGHT)
    """Weight of the instance-level losses [phi_1]."""
    cluster_weight: float = bounded(1.0, 0, WEIGHT)
    """Weight of the cluster-level losses [phi_2]."""
    step_mode: Literal["sequential", "joint"] = "sequential"
    """Optimiser steps of the inter-modality phase: one for each of the two batches, or one on the sum of losses."""
    shared_subset: Literal["mixed", "all"] = "mixed"
    """Images drawn by joint labels: those of clusters with both modalities, or all except outliers."""
    shared_init: Literal["plain", "balanced"] = "plain"
    """Start of the joint cluster rows: the mean of all images, or the mean of the two modality means."""

    @property
    def first_phase(self) -> DMICConfig:
        """Settings of the intra-modality phase; settings of the inter-modality phase have their defaults."""
        later = ("mie_mode", "turn", "joint_k2", "inter_instance", "step_mode", "shared_subset", "shared_init")
        return replace(self.reset(*later, "intra_epochs"), phase="intra")


@METHODS.register("dmic")
class DMIC(Method):
    """DMIC: cameras and modalities have equal weights in an image's encoding; the neighbourhood changes every epoch.

    The intra-modality phase clusters each modality. The inter-modality phase also clusters both together, and takes a
    second step in each iteration, on clusters that hold both. MIE (Eq. 6 and 7) is the balanced expansion of
    :func:`usvi_bench.components.clustering.jaccard.jaccard_distance`, DNC (Eq. 8 to 10) is
    :func:`neighbourhood`, and HMCL (Eq. 13 to 23) is :meth:`contrast`.

    **Known publicly:** all equations, bounds of the schedules, k1, k2, temperature, loss weights and phases of 50
    epochs (the paper). The text and Eq. 23 give the two loss weights in opposite order; Eq. 23 is followed. No training
    code is public.

    **Our reconstruction:** schedules are exponential in the elapsed fraction of a phase, the only reading that fits the
    printed bounds and ratios. The joint expansion averages over cameras and then over modalities, as MMM
    (shijiangming1/MMM @7e57d50) averages over modalities; Eq. 6 and 7 as printed are ``mie_mode=flat``. Losses are
    means over samples where Eq. 13 to 22 have sums, and the means of the modalities are added. Two optimiser steps,
    clusters of both modalities in the second one, and DBSCAN's 4 samples follow the authors' predecessor
    (YimingYang23/PCA_USLVIReID). The instance loss sums over the images of a cluster as RTMem (PRIS-CV/RTMem) does,
    because Eq. 18, 19 and 22 index images by clusters. A memory update draws uniformly.

    **Differs from** the paper: batches and augmentation are those of the suite (the setting ``paper`` has the paper's
    batches), as is the learning rate on synthetic people. The scored feature is that after the BN neck, as for all
    methods, instead of the pooled feature. The inter-modality phase starts from the last weights of the intra-modality
    phase. Cluster rows start at means of features that are not normalised. An epoch with too few clusters of both
    modalities for a batch has no second step.

    **Where:** MIE is ``label``; DNC ``neighbourhood``; HMCL ``begin_epoch``, ``contrast`` and ``end_step``.
    """

    Config = DMICConfig
    uses_cameras = True
    summary = "camera- and modality-balanced dynamic clustering, cluster and instance memories (2025)"

    clusters: dict[str, ClusterMemory]
    """Cluster memories: ``visible``, ``infrared`` and, in the inter-modality phase, ``joint``."""
    images: dict[str, ClusteredInstanceMemory]
    """Instance memories by the same names, where the instance-level contrast is on."""

    @classmethod
    def stages(cls, config: DMICConfig) -> tuple[Stage, ...]:
        if config.phase == "intra":
            return (Stage("dmic", config.first_phase),)
        return Stage("dmic", config.first_phase, config.intra_epochs), Stage("dmic", config)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Cluster with MIE (modality-camera invariant expansion), within the neighbourhood of DNC.

        ``D_i`` is the code of image ``i`` (Eq. 1 and 2), and ``j`` one of its ``k2`` nearest images, of modality ``m``
        and camera ``c``. The expanded code replaces the plain mean of Eq. 3::

            D~_i = sum_j W_ij D_j    W_ij = 1 / (M_i C_im n_imc)            (two_level)
                                     W_ij = 1 / (C_i n_ic)                  (flat: Eq. 6 and 7 as printed)

        Among the ``k2`` nearest there are ``M_i`` modalities, ``C_im`` cameras of modality ``m``, ``n_imc`` images from
        camera ``c``. The Jaccard distance of expanded codes (Eq. 4) goes to DBSCAN. The groups to balance over are
        :func:`usvi_bench.components.clustering.labelling.cameras_of_each`; the mean is taken by
        :func:`usvi_bench.components.clustering.jaccard.jaccard_distance`.
        """
        c = self.config
        eps, k2 = neighbourhood(c, progress.epoch, progress.epochs)
        apart = cluster_each_modality(features, replace(c.clustering, eps=eps, k2=k2), cameras=c.mie)
        if c.phase == "intra":
            return apart
        groups = cameras_of_each(features, nested=c.mie_mode == "two_level") if c.mie else None
        joint = cluster_jointly(features, replace(c.clustering, eps=eps, k2=min(c.joint_k2, c.k1)), groups)
        drawn = in_both(*joint) if c.shared_subset == "mixed" else joint
        return replace(apart, extra={"joint": drawn, "joint_clusters": joint})

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        """Build the memories of HMCL: rows of clusters, at first means, and of images (Eq. 15 and 20)."""
        c = self.config
        eps, k2 = neighbourhood(c, progress.epoch, progress.epochs)
        self.figures: dict[str, float] = {"eps": eps, "k2": k2}
        self.pending_updates: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
        parts: dict[str, tuple[Tensor, Tensor]] = dict(clustered(features, labels).items())
        starts = {name: centroids(*part) for name, part in parts.items()}
        if c.phase == "inter":
            both, joint = (features.visible, features.infrared), labels["joint_clusters"]
            parts["joint"] = torch.cat(both), torch.cat(joint)
            balanced = c.shared_init == "balanced"
            starts["joint"] = joint_centroids(*both, joint) if balanced else centroids(*parts["joint"])
            self.first_infrared = len(features.visible)
            self.joint_batches = JointBatches(labels["joint"])
            mixed = torch.cat(in_both(*joint))
            self.figures["joint_clusters"] = len(starts["joint"])
            self.figures["mixed_clusters"] = len(mixed[mixed != OUTLIER].unique())
        rule = (c.temperature, c.momentum, c.update)
        self.clusters = module_dict({name: ClusterMemory(rows, *rule) for name, rows in starts.items()})
        wanted = {"visible": c.intra_instance, "infrared": c.intra_instance, "joint": c.inter_instance}
        self.images = module_dict(
            {
                name: ClusteredInstanceMemory(*part, c.temperature, c.instance_loss)
                for name, part in parts.items()
                if wanted[name]
            }
        )

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        losses = self.loss(next_batch(), progress)
        batch = self.joint_batches.next(next_batch) if self.config.phase == "inter" else None
        if batch is not None and self.config.step_mode == "sequential":
            optimise(losses)
            self.end_step(progress)
            losses = {}
        if batch is not None:
            losses |= self.contrast(batch, progress, joint=True)
        optimise(losses)
        self.end_step(progress)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        return self.contrast(batch, progress)

    def contrast(self, batch: Batch, progress: StageProgress, *, joint: bool = False) -> Losses:
        """Contrast features with clusters and images by HMCL (hybrid modality contrastive learning).

        ``q_i`` is a unit feature of cluster ``y_i``, ``C_k`` the row of a cluster, ``I_j`` that of a clustered image::

            L   = phi_1 (L_I^r + L_I^v + L_I^m) + phi_2 (L_C^r + L_C^v + L_C^m)                     (Eq. 23)
            L_C = -mean_i log softmax_k(q_i.C_k / tau)[y_i]                                         (Eq. 13, 16, 17, 21)
            L_I = -mean_i log( sum_{j: y_j = y_i} exp(q_i.I_j / tau) / sum_j exp(q_i.I_j / tau) )   (Eq. 18, 19, 22)

        ``v`` and ``r`` are the modalities, ``m`` is both, in the inter-modality phase only.

        Args:
            batch: batch to embed.
            progress: current step, for random draws.
            joint: contrast both modalities with the joint memories instead of each with its own.
        """
        c = self.config
        losses: Losses = {}
        parts = zip(MODALITIES, self.embed_batch(batch), (batch.visible, batch.infrared), strict=True)
        for modality, features, samples in parts:
            memory, name = ("joint", f"joint_{modality}") if joint else (modality, modality)
            offset = self.first_infrared if joint and modality == "infrared" else 0
            labels, index = samples.view_labels, (samples.index + offset).repeat(len(samples.views))
            losses[name] = c.cluster_weight * self.clusters[memory].loss(features, labels)
            if memory in self.images:
                draws = generator(progress, features.device, "instance", name)
                term = self.images[memory].loss(features, index, draws)
                losses[f"{name}_instance"] = c.instance_weight * term
            self.pending_updates.setdefault(memory, []).append((features.detach(), labels, index))
        return losses

    @torch.no_grad()
    def end_step(self, progress: StageProgress) -> None:
        """Replace the rows of clusters and images in the batch by a random feature of each (real-time update)."""
        for name, parts in self.pending_updates.items():
            features, labels, index = (torch.cat(part) for part in zip(*parts, strict=True))
            if self.config.real_time:
                draws = generator(progress, features.device, "clusters", name)
                overwrite(self.clusters[name].rows, features, labels, draws)
            else:
                self.clusters[name].update(features, labels)
            if name in self.images:
                self.images[name].update(features, index, generator(progress, features.device, "images", name))
        self.pending_updates = {}

    def diagnostics(self) -> Mapping[str, float]:
        return self.figures


def generator(progress: StageProgress, device: torch.device, *purpose: str) -> Generator:
    """Create a generator for the draws of one purpose in one step."""
    return Generator(device).manual_seed(progress.seed_for(*purpose))


def neighbourhood(config: DMICConfig, epoch: int, epochs: int) -> tuple[float, int]:
    """Compute the neighbourhood of an epoch by DNC (dynamic neighbourhood clustering).

    ``t`` is the elapsed fraction of the phase, or of its part before or after the turn (Eq. 8 to 10)::

        k2  = epsilon_1 sigma_k^t          grows over either phase
        eps = pi_2 sigma_n^t               shrinks over the first phase, and in the second before the turn
        eps = pi_1 sigma_b^t               grows in the second phase after the turn; sigma_b = 1 / sigma_n

    >>> [neighbourhood(DMICConfig(), epoch, epochs=50) for epoch in (0, 9, 49)]
    [(0.6, 6), (0.3, 7), (0.6, 18)]

    Args:
        config: settings of the phase.
        epoch: epoch of the phase, from 0.
        epochs: number of epochs of the phase.

    Returns:
        ``eps`` of all clusterings, and ``k2`` of the clustering of each modality.
    """
    c = config
    if not c.dnc:
        return c.eps, min(c.k2, c.k1)
    k2 = min(round(c.k2 * c.widening ** elapsed(epoch, epochs)), c.k1)
    turn = max(1, round(c.turn * epochs)) if c.phase == "inter" else epochs
    narrowed = elapsed(epoch, turn) if epoch < turn else 1 - elapsed(epoch - turn, epochs - turn)
    return c.eps * c.narrowing**narrowed, k2


def elapsed(epoch: int, epochs: int) -> float:
    """Return the elapsed fraction of some epochs: 0 in the first epoch, 1 in the last one."""
    return epoch / (epochs - 1) if epochs > 1 else 0.0
