"""BMIL: clusters of both modalities from a modality-aware distance, with a prototype for each modality.

"Modality-Aware Bias Mitigation and Invariance Learning for Unsupervised Visible-Infrared Person Re-Identification",
Wang M., Gong X., Li J., Ji G., AAAI 2026, pages 9975-9983, https://arxiv.org/abs/2512.07760.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.clustering.labelling import (
    cluster_each_modality,
    cluster_jointly,
    in_both,
    modality_of_each,
)
from usvi_bench.components.clustering.subsets import random_parts, scattered, visible_part
from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.joint_step import JointStep
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.split import SplitMemory, shared_prototypes, split_prototypes
from usvi_bench.components.modalities import by_modality, view_labels
from usvi_bench.components.unit import detached
from usvi_bench.core.bounds import COUNT, TINY, WEIGHT, bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.seeding import torch_generator
from usvi_bench.core.types import (
    OUTLIER,
    Batch,
    Features,
    Losses,
    NextBatch,
    Optimise,
    PseudoLabels,
    StageProgress,
)
from usvi_bench.methods.base import Form, Stage
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup


@dataclass(frozen=True)
class BMILConfig(ClusterContrastConfig):
    """Hyper-parameters of BMIL; defaults are the released values for SYSU-MM01."""

    form: Form = "repaired"
    """``released`` has the defect of the released code, see :mod:`usvi_bench.methods.released.bmil`."""
    hard: bool = True
    """Use hard prototypes beside the centroids of each modality. False: centroids with the rule ``update``."""
    stage1_memory: Literal["centroid", "hybrid"] = "centroid"
    """Memory of the first stage: centroids as in the shared first stage, or also hard prototypes as released."""
    stage1_subset: bool = False
    """Cluster only a part of the visible images in the first stage, too, as released."""
    subset: float = bounded(0.5, TINY, 1)
    """Share of the visible images that is clustered in an epoch: at most 0.5; or 1 for all."""
    halves: Literal["apart", "same", "fixed"] = "apart"
    """Parts of the visible images. ``apart``: another part for the joint clusters, both drawn in every epoch. ``same``:
    the same part for both. ``fixed``: another part, both drawn once in a stage."""
    joint: bool = True
    """Take a second optimiser step on clusters of both modalities together."""
    balanced: bool = True
    """Balance the neighbour lists of the joint clustering over the modalities. False: plain lists."""
    expansion: Literal["balanced", "plain"] = "balanced"
    """Local expansion of plain lists: balanced over the modalities, or the plain mean. Balanced lists need
    ``balanced``."""
    joint_k1: int = bounded(30, 1, COUNT)
    """Number of nearest neighbours in the k-reciprocal encoding of both modalities; half of them of each modality."""
    joint_k2: int = bounded(6, 1, COUNT)
    """Number of nearest neighbours of each modality in the local expansion; of both together for plain lists."""
    split: bool = True
    """Use a prototype for each modality in a joint cluster. False: one, the mean of the two modality means."""
    draw_from: Literal["all", "mixed"] = "all"
    """Images drawn by joint clusters: all except outliers, or those of clusters with both modalities."""
    negatives: int = bounded(50, 0, COUNT)
    """Number of prototypes in the softmax over joint prototypes, positives included; 0 for all."""
    joint_weight: float = bounded(0.5, 0, WEIGHT)
    """Weight of the losses of the joint step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0.5 < self.subset < 1:
            raise UsageError(f"method.subset={self.subset} must be at most 0.5, or 1 for all images")
        if self.balanced and self.joint_k1 % 2:
            raise UsageError(f"method.joint_k1={self.joint_k1} must be even: half of the neighbours of each modality")
        if self.balanced and self.joint_k2 > self.joint_k1 // 2:
            raise UsageError(
                f"method.joint_k2={self.joint_k2} exceeds the {self.joint_k1 // 2} neighbours of each modality; lower "
                "it or raise method.joint_k1"
            )
        if self.balanced and self.expansion == "plain":
            raise UsageError("method.expansion=plain needs method.balanced=false")
        if self.negatives in (1, 2):
            raise UsageError(f"method.negatives={self.negatives} leaves no negative; choose 0 for all, or at least 3")
        if self.form == "released" and not self.joint:
            raise UsageError("method.form=released needs method.joint=true; its defect is in the joint step")


@METHODS.register("bmil")
class BMIL(ClusterContrast, JointStep):
    """BMIL: joint clusters link the modalities; a sample is pulled to the prototypes of its cluster in both.

    Both modalities are clustered together with neighbour lists that have as many visible as infrared images. Step 1 of
    an iteration has the loss :math:`C_v + C_r` of the visible and the infrared clusters, and step 2, on another batch,
    :math:`(J_v + J_r) / 2` of the joint clusters. Only a random half of the visible images, which outnumber the
    infrared ones, is clustered in an epoch, and the joint clusters have another half.

    **Differs from** the released code (Terminator8758/BMIL @79cc647): memories are updated after the step, so that the
    joint infrared gradient uses the memory as it was before the step; there the visible samples have updated it
    (``form=released``). The last epoch is kept instead of the one with the best test score. Features are normalised
    before clustering. The first stage is the shared one, with centroids only and all visible images, unless
    ``stage1_memory`` and ``stage1_subset`` differ. The softmax has ``negatives`` prototypes, or all if there are fewer,
    where training stops there. Of equal similarities at this limit, all are taken. A modality with fewer than
    ``joint_k1 / 2`` images and an odd ``joint_k1`` are refused. Infrared images are jittered in both stages or in none.
    An epoch with fewer joint clusters than a batch draws has no joint step.

    **Known publicly:** code, logs, the abstract, and a note by others with equations and the ablation; the paper's text
    was not available. By the note, the local expansion averages ``k2`` balanced neighbours; in the code it averages
    ``k2`` of each modality, which is done here.

    **Our reconstruction:** rows without split prototypes (``split=false``), which have the mean of the two modality
    means and the same loss. On LLCM, which the release does not train on, all visible images are clustered.

    **Where:** modality-aware distance and subsets are ``label``; split prototypes ``begin_epoch``; their contrast
    ``joint_loss``.
    """

    Config = BMILConfig
    summary = "joint clusters by balanced neighbour lists, a prototype for each modality (AAAI 2026)"

    joint_memory: SplitMemory

    @classmethod
    def stages(cls, config: Any) -> tuple[Stage, ...]:
        subset = config.subset if config.stage1_subset else 1.0
        if config.stage1_memory == "centroid" and subset == 1:
            return warmup(config), Stage("bmil", config)
        shared = vars(warmup(config).config)
        halves: Any = "fixed" if subset < 1 and config.halves == "fixed" else "apart"
        hybrid = config.stage1_memory == "hybrid"
        first = BMILConfig(**shared, hard=hybrid, subset=subset, halves=halves, joint=False)
        return Stage("bmil", first), Stage("bmil", config)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Cluster each modality, and both together by BMGC (bias-mitigated global clustering).

        The list of an image is ``L = A_v + A_r``: its ``joint_k1 / 2`` nearest visible and as many infrared images. Its
        code ``V`` from ``L`` is averaged over the first ``joint_k2`` of ``A_v`` and of ``A_r``, with equal weights of
        the modalities. The distance is ``d = 1 - m / (2 - m)`` with ``m = sum min(V_i, V_j)``; see
        :func:`usvi_bench.components.clustering.balanced_lists.balanced_jaccard`.
        """
        c, count = self.config, len(features.visible)
        seed = progress.seed if c.halves == "fixed" else progress.seed_for("subset")
        own, other = random_parts(count, c.subset, torch_generator(seed, "subset"))
        apart = cluster_each_modality(visible_part(features, own), c.clustering)
        labels = replace(apart, visible=scattered(apart.visible, own, count))
        if not c.joint:
            return labels
        rows = own if c.halves == "same" else other
        part = visible_part(features, rows)
        clustering = replace(c.clustering, k1=c.joint_k1, k2=c.joint_k2, balanced=c.balanced)
        visible, infrared = cluster_jointly(
            part, clustering, modality_of_each(part) if c.expansion == "balanced" else None
        )
        joint = scattered(visible, rows, count), infrared
        drawn = in_both(*joint) if c.draw_from == "mixed" else joint
        return replace(labels, extra={"joint": drawn, "joint_clusters": joint})

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        c = self.config
        super().begin_epoch(features, labels, progress)
        self.figures = {"visible_labelled": (labels.visible != OUTLIER).float().mean()}
        if c.joint:
            joint = labels["joint_clusters"]
            prototypes = (split_prototypes if c.split else shared_prototypes)(
                features.visible, features.infrared, joint
            )
            self.joint_memory = SplitMemory(prototypes, c.temperature, c.momentum, c.negatives)
            self.joint_batches = JointBatches(labels["joint"])
            found, mixed = (torch.cat(pair).unique() for pair in (joint, in_both(*joint)))
            count = (found != OUTLIER).sum()
            self.figures["joint_clusters"] = count
            self.figures["joint_mixed"] = (mixed != OUTLIER).sum() / count.clamp(min=1)

    def make_memory(self, features: Tensor, labels: Tensor) -> ClusterMemory:
        """Build the memory of one modality, with the rows, loss and update of PCLHD's hard prototypes.

        See :class:`usvi_bench.components.memory.hard.HardMemory`.
        """
        if not self.config.hard:
            return super().make_memory(features, labels)
        return HardMemory(centroids(features, labels), None, self.config.temperature, self.config.momentum)

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        super().step(next_batch, progress, optimise)
        if self.config.joint:
            self.take_joint_step(next_batch, optimise)

    def joint_loss(self, batch: Batch) -> Losses:
        """Contrast both modalities with the joint memory by MIRL (modality-invariant representation learning).

        ``l = -1 / |Pos| sum_{p in Pos} log(exp(q.M_p / tau) / sum_{j in S} exp(q.M_j / tau))``: ``Pos`` are the
        prototypes of the sample's joint cluster, at most one of each modality, and ``S`` is ``Pos`` with the most
        similar others; see :meth:`usvi_bench.components.memory.split.SplitMemory.hinged_loss`.
        """
        visible, infrared = self.joint_samples(batch)
        return self.weighted(self.joint_memory.loss(*visible), self.joint_memory.loss(*infrared))

    def joint_samples(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Return features and prototypes of the visible and infrared views, and keep them for the update."""
        features = by_modality(self.embed_batch(batch))
        rows = {modality: self.joint_memory.rows_of(modality, part) for modality, part in view_labels(batch).items()}
        self.joint_updates = [(detached(part), rows[modality]) for modality, part in features.items()]
        return [(part, rows[modality]) for modality, part in features.items()]

    def weighted(self, visible: Tensor, infrared: Tensor) -> Losses:
        """Return the weighted losses of the joint step."""
        weight = self.config.joint_weight
        return {"joint_visible": weight * visible, "joint_infrared": weight * infrared}

    def diagnostics(self) -> Mapping[str, Tensor]:
        return self.figures
