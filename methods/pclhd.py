"""PCLHD: hard and dynamic prototypes of every cluster, on top of PGM.

"Learning Commonality, Divergence and Variety for Unsupervised Visible-Infrared Person Re-Identification", Shi J.,
Yin X., Zhang Y. et al., NeurIPS 2024, https://arxiv.org/abs/2402.19026 (Progressive Contrastive Learning with Hard and
Dynamic Prototypes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.clustering.labelling import add_joint_clusters
from usvi_bench.components.ema import alpha_for, ema_update, make_teacher
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.joint_step import JointStep
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.dynamic import DynamicMemory, draw_mates
from usvi_bench.components.memory.hard import farthest_means
from usvi_bench.components.memory.hybrid import joint_centroids
from usvi_bench.components.memory.module_dict import module_dict
from usvi_bench.components.modalities import by_modality, clustered, view_labels
from usvi_bench.core.bounds import COUNT, TINY, WEIGHT, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.seeding import torch_generator
from usvi_bench.core.types import (
    MODALITIES,
    OUTLIER,
    Batch,
    Features,
    Losses,
    Modality,
    NextBatch,
    Optimise,
    PseudoLabels,
    StageProgress,
)
from usvi_bench.methods.base import embed_views
from usvi_bench.methods.hard_prototypes import HardPrototypes, HardPrototypesConfig


@dataclass(frozen=True)
class PCLHDConfig(HardPrototypesConfig):
    """Hyper-parameters of PCLHD, beside those of hard prototypes; released values unless the text differs."""

    dynamic: bool = True
    """Use dynamic prototypes: contrast with the teacher's features of random samples of the clusters."""
    joint: bool = True
    """Take a second optimiser step on clusters of both modalities together."""
    hard_init: Literal["centroid", "farthest_k"] = "centroid"
    """Start of hard prototypes in an epoch: the centroid, or the mean of the members farthest from it."""
    hard_k: int = bounded(4, 1, COUNT)
    """Number of farthest members in that mean [k]; the paper's value is not known to us."""
    dynamic_weight: float = bounded(0.5, 0, WEIGHT)
    """Weight of the contrast with dynamic prototypes; 1.0 in the released code, where it has no effect."""
    dynamic_slots: int = bounded(16, 1, 256)
    """Number of dynamic prototypes of a cluster [S]."""
    dyn_select: Literal["minmax", "random_one", "figure"] = "minmax"
    """Slots that are compared. ``minmax``: the farthest slot of the own cluster and the nearest of each other cluster
    (released code). ``random_one``: a random slot of each cluster (abstract). ``figure``: a random slot of the own
    cluster and the centroids of the others (figure)."""
    joint_k1: int = bounded(40, 1, COUNT)
    """Number of nearest neighbours in the k-reciprocal encoding of both modalities together."""
    joint_k2: int = bounded(32, 1, COUNT)
    """Number of nearest neighbours in the local expansion of both modalities together."""
    ema_window: float = bounded(0.1, TINY, 1)
    """Averaging window of the teacher as a fraction of the stage; 0.1 of 10,000 steps is a decay of 0.999."""


@METHODS.register("pclhd")
class PCLHD(HardPrototypes, JointStep):
    """PCLHD: each cluster has a centroid, a hard prototype and dynamic prototypes, which keep its variety.

    Step 1 has the loss :math:`C_v + C_r + 0.25 C_x + w_d (D_v + D_r)`, and step 2 the loss :math:`J_v + J_r`; v and r
    are visible and infrared. C is the contrast with centroids and hard prototypes
    (:meth:`usvi_bench.components.memory.hard.HardMemory.loss`), :math:`C_x` the cross term of PGM, D
    the contrast with dynamic prototypes (:meth:`dynamic_loss`), and J the contrast C with the memory of joint clusters.

    **Differs from** the released code (shijiangming1/PCLHD @c1f7b24): there the features of the dynamic loss are the
    teacher's, so that the loss has no gradient and its memory is never refreshed. Here the student's features are
    contrasted, and the teacher's features refresh the memory after the step. Gradients use the memories as they were
    before the step; memories are updated after it, in the released order. Clusters are matched for any cluster counts;
    there the cross term is missing, or training stops, if visible clusters are fewer. The last epoch is kept instead of
    the one with the best test score. ``form=released`` restores the inert dynamic loss, the released gradients and the
    missing cross term. The setting ``paper`` has the other choices of the release.

    **Known publicly:** paper and code; of the paper we had the abstract and the framework figure, which differ from the
    code. In the figure, the first stage has centroids only, a random slot of the own cluster is contrasted with the
    centroids of the others, and there are no joint clusters (``stage1_memory``, ``dyn_select``, ``joint``). The second
    stage here follows the code. The first stage follows the figure; it is the one that all methods share.

    **Our choices:** ``dynamic_weight``, because the released 1.0 had no effect. At 0.5 the gradient of the term is
    about as long as that of the centroids and hard prototypes together. Unit features are clustered
    (``normalise_features``). The joint step is skipped in an epoch with fewer clusters of both modalities than a batch
    draws.

    **Where:** hard prototypes are ``make_memory``; dynamic ones ``dynamic_loss`` and ``refresh_dynamic``; the joint
    step :class:`usvi_bench.components.joint_step.JointStep`. Equations are those of the code; the paper's numbers are
    not known to us.
    """

    Config = PCLHDConfig
    headline = "teacher"
    summary = "hard and dynamic prototypes, joint clusters, on top of PGM (NeurIPS 2024)"

    hard_settings = (*HardPrototypes.hard_settings, "hard_init", "hard_k")
    parts_off: ClassVar[Mapping[str, Any]] = {"dynamic": False, "joint": False}

    def __init__(self, config: PCLHDConfig, encoder: TwoStreamEncoder) -> None:
        super().__init__(config, encoder)
        self.teacher = make_teacher(encoder)
        self.embeds = ("teacher",) if config.dynamic else ()

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        return {"teacher": self.teacher, "student": self.encoder}

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        c = self.config
        labels = super().label(features, progress)
        if not c.joint:
            return labels
        return add_joint_clusters(labels, features, replace(c.clustering, k1=c.joint_k1, k2=c.joint_k2))

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        c = self.config
        super().begin_epoch(features, labels, progress)
        self.alpha = alpha_for(c.ema_window, progress.iterations)
        self.figures = super().diagnostics()
        if c.dynamic:
            memories = {
                m: DynamicMemory.of(
                    *part, c.dynamic_slots, c.temperature, torch_generator(progress.seed_for("slots", m))
                )
                for m, part in clustered(features.by_model["teacher"], labels).items()
            }
            self.dynamic_memory = module_dict(memories)
        if c.joint:
            clusters = labels["joint_clusters"]
            both = features.visible, features.infrared
            self.joint_memory = self.make_memory(torch.cat(both), torch.cat(clusters), joint_centroids(*both, clusters))
            self.joint_batches = JointBatches(labels["joint"])
            in_mixed = (labels["joint"][0] != OUTLIER).float().mean()
            self.figures = {**self.figures, "visible_in_mixed": in_mixed}

    def make_memory(self, features: Tensor, labels: Tensor, rows: Tensor | None = None) -> ClusterMemory:
        """Build a memory of centroids ``c``, which start at given rows or at the means, and of hard prototypes ``h``.

        Its loss ``l = 0.5 CE(q.h / tau, y) + 0.5 max(CE(q.c / tau, y) - 0.2, 0)`` is
        :meth:`usvi_bench.components.memory.hard.HardMemory.loss`. After a step, ``q_j`` being the batch's samples of
        ``k``::

            c_k <- unit(mu c_k + (1 - mu) mean_j q_j)    h_k <- unit(mu h_k + (1 - mu) argmin_{q_j} q_j.c_k)
        """
        c = self.config
        rows = centroids(features, labels) if rows is None else rows
        start = farthest_means(features, labels, rows, c.hard_k) if c.hard and c.hard_init == "farthest_k" else None
        return self.memory_of(rows, start)

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        super().step(next_batch, progress, optimise)
        if self.config.joint:
            self.take_joint_step(next_batch, optimise)
        ema_update(self.teacher, self.encoder, self.alpha)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Return the loss of step 1: ``l_v + l_r + 0.25 l_x + dynamic_weight (D_v + D_r)``, ``l_x`` as in PGM."""
        c = self.config
        features = self.embed_batch(batch)
        student, labels = by_modality(features), view_labels(batch)
        losses = self.contrast(*features, batch) | self.cross(student, labels, progress)
        with torch.no_grad():  # always: this forward pass updates the teacher's batch-norm statistics
            self.teacher_features = by_modality(embed_views(self.teacher, batch))
        for modality in MODALITIES if c.dynamic else ():
            term = self.dynamic_loss(modality, student[modality], labels[modality], progress)
            losses[f"dynamic_{modality}"] = c.dynamic_weight * term
        return losses

    def dynamic_loss(self, modality: Modality, features: Tensor, labels: Tensor, progress: StageProgress) -> Tensor:
        """Contrast features with the slots of each cluster by DPCL (dynamic prototype contrastive learning).

        D = CE(z, y) with z_k = min_s f . E_sk / tau if k = y, else max_s; E_sk is slot s of cluster k. The equation is
        ``dyn_select=minmax``, see
        :meth:`usvi_bench.components.memory.dynamic.DynamicMemory.loss`; the other choices are
        :meth:`usvi_bench.components.memory.dynamic.DynamicMemory.loss_of_one`.
        """
        memory, select = self.dynamic_memory[modality], self.config.dyn_select
        if select == "minmax":
            return memory.loss(features, labels)
        slot = memory.draw_slot(torch_generator(progress.seed_for("slot", modality), device=features.device))
        others = self.memories[modality].rows if select == "figure" else None
        return memory.loss_of_one(features, labels, slot, others)

    def end_step(self, progress: StageProgress) -> None:
        super().end_step(progress)
        if self.config.dynamic:
            self.refresh_dynamic(progress)

    def refresh_dynamic(self, progress: StageProgress) -> None:
        """Replace the slots of the clusters in this batch by the teacher's features of random samples."""
        for modality, (_, labels) in zip(MODALITIES, self.pending_updates, strict=True):
            generator = torch_generator(progress.seed_for("refresh", modality), device=labels.device)
            drawn = draw_mates(labels, self.config.dynamic_slots, generator)
            self.dynamic_memory[modality].refresh(self.teacher_features[modality], *drawn)

    def diagnostics(self) -> Mapping[str, Tensor]:
        return self.figures
