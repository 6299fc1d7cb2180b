"""DMIC: clustering that balances cameras and modalities, in a neighbourhood that changes, with two levels of memory.

"Dynamic Modality-Camera Invariant Clustering for Unsupervised Visible-Infrared Person Re-Identification", Yang Y.,
Hu W., He Q., Hu H., IEEE TNNLS (2025), https://arxiv.org/abs/2412.08231.
"""

from __future__ import annotations

import math
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
from usvi_bench.components.memory.instance_contrast import InstanceMemory, overwrite
from usvi_bench.components.modalities import clustered
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
from usvi_bench.methods.cluster_contrast import TINY, ClusterContrastConfig


@dataclass(frozen=True)
class DMICConfig(ClusterContrastConfig):
    """Hyper-parameters of DMIC; the paper's symbols in brackets. Defaults are those for SYSU-MM01."""

    eps: float = 0.6
    """Largest Jaccard distance between neighbours in DBSCAN; with ``dnc`` its upper bound [pi_2]."""
    k1: int = 40
    """Neighbours in the k-reciprocal encoding, of one modality and of both."""
    k2: int = 6
    """Neighbours in its local expansion within a modality; with ``dnc`` at the start of a phase [epsilon_1]."""
    phase: Literal["intra", "inter"] = "inter"
    """Where a training ends: after the phase within the modalities, or after that between them, which follows it."""
    intra_epochs: int | None = None
    """Epochs of the first phase where another follows; as many as the second by default."""
    mie: bool = True
    """Modality-camera invariant expansion. False: the plain mean over ``k2`` neighbours, also of both modalities."""
    mie_mode: Literal["two_level", "flat"] = "two_level"
    """Joint expansion: cameras weigh the same within a modality, and modalities the same; or all cameras the same."""
    dnc: bool = True
    """Dynamic neighbourhood clustering. False: ``eps`` and ``k2`` stay."""
    narrowing: float = 0.5
    """Smallest ``eps`` over the largest [sigma_n = pi_1 / pi_2 = 1 / sigma_b]."""
    widening: float = 3.0
    """``k2`` at the end of a phase over that at its start [sigma_k = epsilon_2 / epsilon_1]; never above ``k1``."""
    turn: float = 0.2
    """Fraction of the second phase in which ``eps`` narrows before it widens: 10 of 50 epochs."""
    joint_k2: int = 32
    """Neighbours in the local expansion of both modalities [epsilon_3]; never above ``k1``."""
    real_time: bool = True
    """Replace cluster rows by a random feature of the batch. False: by the rule ``update`` with ``momentum``."""
    intra_instance: bool = True
    """Instance-level contrast within the modalities [IC-1]."""
    inter_instance: bool = True
    """Instance-level contrast with the images of both modalities [IC-2]."""
    instance_loss: Literal["nca", "single", "mean", "self"] = "nca"
    """What a feature should resemble: any image of its cluster (neighbourhood component analysis); a random one; their
    mean; its own image."""
    instance_weight: float = 0.1
    """Weight of the instance-level losses [phi_1]."""
    cluster_weight: float = 1.0
    """Weight of the cluster-level losses [phi_2]."""
    step_mode: Literal["sequential", "joint"] = "sequential"
    """Second phase: an optimiser step for each of the two batches, or one on the sum of their losses."""
    shared_subset: Literal["mixed", "all"] = "mixed"
    """Images drawn by joint labels: those of clusters with both modalities, or all but outliers."""
    shared_init: Literal["plain", "balanced"] = "plain"
    """Start of the joint cluster rows: the mean of all images, or of the two modalities' means."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(TINY, 1, "narrowing")
        self.check_range(0, 1, "turn")
        self.check_range(1, math.inf, "widening", "joint_k2")
        self.check_range(0, math.inf, "instance_weight", "cluster_weight")
        if self.intra_epochs is not None:
            self.check_range(1, math.inf, "intra_epochs")

    @property
    def first_phase(self) -> DMICConfig:
        """The phase within the modalities, which precedes all settings of the other: those have their defaults."""
        later = ("mie_mode", "turn", "joint_k2", "inter_instance", "step_mode", "shared_subset", "shared_init")
        return replace(self.reset(*later, "intra_epochs"), phase="intra")


@METHODS.register("dmic")
class DMIC(Method):
    """Cameras and modalities weigh the same in an image's code, within a neighbourhood that changes by the epoch;
    features are contrasted with clusters and with images. A first phase clusters each modality; a second also both
    together, and takes a second step an iteration, on clusters that hold both.

    **Known publicly:** all equations, bounds of the schedules, k1, k2, temperature, loss weights (the text names the
    two in the other order than Eq. 23, which is followed), phases of 50 epochs (the paper); no training code.

    **Our reconstruction:** schedules are exponential in the elapsed fraction of a phase, the only reading that fits the
    printed bounds and ratios. The joint expansion averages over cameras, then over modalities, as MMM's does over
    modalities (shijiangming1/MMM @7e57d50); Eq. 6 and 7 as printed are ``mie_mode=flat``. Losses are means over samples
    where Eq. 13 to 22 have sums; the modalities' means are added. Two optimiser steps, clusters of both modalities in
    the second, and DBSCAN's 4 samples follow the authors' predecessor (YimingYang23/PCA_USLVIReID). The instance loss
    sums over a cluster's images, like RTMem's (PRIS-CV/RTMem): Eq. 18, 19 and 22 index images by clusters. An update
    draws uniformly.

    **Differs from** the paper: batches (the setting ``paper`` has the paper's) and augmentation are the suite's, as is
    the learning rate on synthetic people; the scored feature is that after the BN neck, as for all methods, there the
    pooled one; the second phase starts from the last weights of the first; cluster rows start at means of features that
    are not normalised. An epoch with too few clusters of both modalities for a batch goes without the second step.

    **Where:** MIE is ``label``; DNC ``neighbourhood``; HMCL ``begin_epoch``, ``contrast`` and ``end_step``.
    """

    Config = DMICConfig
    summary = "camera- and modality-balanced dynamic clustering, cluster and instance memories (2025)"

    clusters: dict[str, ClusterMemory]
    """Memory of cluster rows: ``visible``, ``infrared`` and, in the second phase, ``joint``."""
    images: dict[str, InstanceMemory]
    """Memory of image rows, where the instance-level contrast is on."""

    @classmethod
    def stages(cls, config: DMICConfig) -> tuple[Stage, ...]:
        if config.phase == "intra":
            return (Stage("dmic", config.first_phase),)
        return Stage("dmic", config.first_phase, config.intra_epochs), Stage("dmic", config)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """MIE (modality-camera invariant expansion) in every clustering, within the neighbourhood of DNC.

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
        self.clusters = {name: ClusterMemory(rows, *rule) for name, rows in starts.items()}
        wanted = {"visible": c.intra_instance, "infrared": c.intra_instance, "joint": c.inter_instance}
        self.images = {
            name: InstanceMemory(*part, c.temperature, c.instance_loss) for name, part in parts.items() if wanted[name]
        }

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
        """HMCL (hybrid modality contrastive learning): a modality against its own memories, or both against joint ones.

        ``q_i`` is a unit feature of cluster ``y_i``, ``C_k`` the row of a cluster, ``I_j`` that of a clustered image::

            L   = phi_1 (L_I^r + L_I^v + L_I^m) + phi_2 (L_C^r + L_C^v + L_C^m)                     (Eq. 23)
            L_C = -mean_i log softmax_k(q_i.C_k / tau)[y_i]                                         (Eq. 13, 16, 17, 21)
            L_I = -mean_i log( sum_{j: y_j = y_i} exp(q_i.I_j / tau) / sum_j exp(q_i.I_j / tau) )   (Eq. 18, 19, 22)

        ``v`` and ``r`` are the modalities, ``m`` is of both, in the second phase only.
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
                term = self.images[memory].loss(features, index, generator(progress, "instance", name))
                losses[f"{name}_instance"] = c.instance_weight * term
            self.pending_updates.setdefault(memory, []).append((features.detach(), labels, index))
        return losses

    @torch.no_grad()
    def end_step(self, progress: StageProgress) -> None:
        """HMCL's update in real time: a row becomes one of the step's features of its cluster or image, at random.

        Rows of a joint memory become features of either modality.
        """
        for name, parts in self.pending_updates.items():
            features, labels, index = (torch.cat(part) for part in zip(*parts, strict=True))
            if self.config.real_time:
                overwrite(self.clusters[name].rows, features, labels, generator(progress, "clusters", name))
            else:
                self.clusters[name].update(features, labels)
            if name in self.images:
                self.images[name].update(features, index, generator(progress, "images", name))
        self.pending_updates = {}

    def diagnostics(self) -> Mapping[str, float]:
        return self.figures


def generator(progress: StageProgress, *purpose: str) -> Generator:
    """A source of its own for the draws of one purpose in one step."""
    return Generator().manual_seed(progress.seed_for(*purpose))


def neighbourhood(config: DMICConfig, epoch: int, epochs: int) -> tuple[float, int]:
    """DNC (dynamic neighbourhood clustering): ``eps`` of all clusterings of an epoch and ``k2`` of each modality's.

    ``t`` is the elapsed fraction of the phase, or of its part before or after the turn (Eq. 8 to 10)::

        k2  = epsilon_1 sigma_k^t          grows over either phase
        eps = pi_2 sigma_n^t               shrinks over the first phase, and in the second before the turn
        eps = pi_1 sigma_b^t               grows in the second phase after the turn; sigma_b = 1 / sigma_n
    """
    c = config
    if not c.dnc:
        return c.eps, min(c.k2, c.k1)
    k2 = min(round(c.k2 * c.widening ** elapsed(epoch, epochs)), c.k1)
    turn = max(1, round(c.turn * epochs)) if c.phase == "inter" else epochs
    narrowed = elapsed(epoch, turn) if epoch < turn else 1 - elapsed(epoch - turn, epochs - turn)
    return c.eps * c.narrowing**narrowed, k2


def elapsed(epoch: int, epochs: int) -> float:
    """How much of some epochs has passed: 0 in the first, 1 in the last."""
    return epoch / (epochs - 1) if epochs > 1 else 0.0
