"""MMM: multi-memory matching of visible and infrared clusters, and soft alignment of matched clusters.

"Multi-Memory Matching for Unsupervised Visible-Infrared Person Re-Identification", Shi J., Yin X., Chen Y., Zhang Y.,
Zhang Z., Xie Y., Qu Y., ECCV 2024, pages 456-474, https://arxiv.org/abs/2401.06825.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from usvi_bench.components.alignment import IntraNorm, class_prototypes, inter_loss, intra_costs
from usvi_bench.components.association import UNMATCHED, Matching, match_costs
from usvi_bench.components.clustering.labelling import add_joint_clusters
from usvi_bench.components.confidence import confidence
from usvi_bench.components.ema import make_teacher
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.joint_step import JointStep
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hybrid import joint_centroids
from usvi_bench.components.memory.sub_centres import sub_centres
from usvi_bench.components.modalities import by_modality, clustered, view_labels
from usvi_bench.components.multi_memory import CostSide, matching_costs
from usvi_bench.components.unit import detached, split, unit
from usvi_bench.core.bounds import COUNT, WEIGHT, bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.seeding import torch_generator
from usvi_bench.core.types import (
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
from usvi_bench.methods.base import Form, Stage, embed_together
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup

RELEASED = {
    **{"matching": "nearest", "cost_side": "infrared", "relabel": "once"},
    **{"intra_norm": "l1", "inter_form": "released", "inter_start": 0.0},
}
"""Settings that ``form=released`` has."""


@dataclass(frozen=True)
class MMMConfig(ClusterContrastConfig):
    """Hyper-parameters of MMM, beside those of its first stage; the paper's symbols are in brackets."""

    phase: Literal["cmc", "match"] = "match"
    """Last phase of a training: joint clusters alone (CMC), or matched clusters after it."""
    cmc: bool = True
    """Train the phase ``cmc`` before the phase ``match``."""
    memories: int = bounded(4, 1, 256)
    """Number of memories of a cluster [n]; 1 for the mean of its features."""
    matching: Matching = "progressive"
    """How visible clusters get infrared partners: ``progressive`` (assignments until all have one), ``assignment`` (one
    round, as in the paper) or ``nearest`` (the least cost of each, as in the released code)."""
    cost_side: CostSide = "visible"
    """Modality whose memories a cost sums over: ``visible`` in the paper, ``infrared`` in the released code."""
    relabel: Literal["epoch", "once"] = "epoch"
    """Label the images in every epoch, or once, by the network at the start of the phase."""
    confidence: Literal["gmm", "none"] = "gmm"
    """Confidence in labels by a mixture of two Gaussians on the losses, or 1 for all."""
    shared_weight: float = bounded(1.0, 0, WEIGHT)
    """Weight of the contrast with the memory that matched clusters share."""
    cluster_weight: float = bounded(1.0, 0, WEIGHT)
    """Weight of the contrasts with the memories of single and of joint clusters in the phase ``match``. 0 leaves out
    the second optimiser step."""
    intra_weight: float = bounded(0.5, 0, WEIGHT)
    """Weight of Intra, which pulls features to the prototype of their class and modality."""
    intra_norm: IntraNorm = "l2"
    """Distance in Intra: ``l2``, the squared Euclidean distance (paper), or ``l1``, the mean absolute difference
    weighted by the confidence (released code)."""
    inter_weight: float = bounded(0.05, 0, WEIGHT)
    """Weight of Inter, the discrepancy of the two modalities of a class."""
    inter_form: Literal["half", "released"] = "half"
    """``half``: half the sum of both directions, with all visible views together. ``released``: their sum, with each
    visible view, which has four times the weight."""
    inter_start: float = bounded(15 / 80, 0, 1)
    """Fraction of the phase ``match`` at which Inter starts: epoch 15 of 80."""
    joint_k1: int = bounded(40, 1, COUNT)
    """Number of nearest neighbours in the k-reciprocal encoding of both modalities together; 38 on RegDB."""
    joint_k2: int = bounded(32, 1, COUNT)
    """Number of nearest neighbours in the local expansion of both modalities together; 18 on RegDB."""
    form: Form = "repaired"
    """``released`` has the defects of the released code, see :mod:`usvi_bench.methods.released.mmm`, and the settings
    ``RELEASED``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in RELEASED.items() if self.form == "released" else ():
            if getattr(self, name) not in (getattr(MMMConfig, name), value):
                raise UsageError(f"method.form=released has method.{name}={value}; leave method.{name} out")
            object.__setattr__(self, name, value)
        inter = 0 if self.inter_start else self.inter_weight
        if not any((self.shared_weight, self.cluster_weight, self.intra_weight, inter)):
            raise UsageError(
                "method.shared_weight, cluster_weight and intra_weight are 0, so that epochs before method.inter_start "
                "have no loss; raise one of the weights"
            )

    @property
    def cmc_phase(self) -> MMMConfig:
        """Settings of the phase ``cmc``; settings of the phase ``match`` have their defaults."""
        kept = {f.name for f in fields(ClusterContrastConfig)} | {"joint_k1", "joint_k2", "form"}
        return replace(self.reset(*({f.name for f in fields(self)} - kept)), phase="cmc")


@METHODS.register("mmm")
class MMM(ClusterContrast, JointStep):
    r"""MMM: clusters have several memories each, by which visible clusters get infrared partners of the same person.

    After the first stage, the phase ``cmc`` adds a second optimiser step on clusters of both modalities. The phase
    ``match`` also gives images the class of their cluster's infrared partner. Step 1 has the loss
    :math:`C_v + C_r + C_S + 0.5 \text{Intra} + 0.05 \text{Inter}` on batches with the same classes in both modalities,
    step 2 the loss :math:`J_v + J_r`. C are contrasts with visible, infrared and shared cluster memories
    (:meth:`matched_loss`), and J contrasts with the memory of joint clusters.

    **Differs from** the paper: visible clusters are assigned in rounds until all have a partner; the paper has one
    round, which leaves out half of them on SYSU-MM01 (``matching=assignment``). The contrast with a memory that matched
    clusters share is a term of its own; the paper's contrasts are re-labelled. Confidence, prototypes and matching use
    the features that every epoch begins with. Intra and Inter compare unit features after the neck, because pooled
    features are not available from the encoder. Training has three stages.

    **Differs from** the released code (shijiangming1/MMM @7e57d50), which is another training: its last program starts
    again from ImageNet weights, with labels fixed once. Left out in both forms: the linear classifier with its triplet
    loss, SGD with two learning rates, the restart from ImageNet, passes over augmented images in training mode, and
    checkpoints chosen by test score. Repaired: all clusters are matched, there the last one of each modality is not;
    small clusters have their mean in all memories, there four scalars; batches are drawn by class, there by rank, which
    stops if a class has no visible images; Inter takes groups of any sizes; every image has a confidence, there images
    that a pass leaves out have 1; prototypes are weighted means, and start at those of the features, there at zero;
    gradients of step 2 use the memory as it was before the step. ``form=released`` restores what its file lists.

    **Known publicly:** abstract, framework figure and code; formulas and tables of the paper from a public note.
    **Our reconstruction:** the shared memory and its contrast, unit features in Intra and Inter, and Intra without the
    confidence. An epoch in which fewer classes hold both modalities than a batch draws has no matched terms.

    **Where:** CMC is ``label`` and :class:`usvi_bench.components.joint_step.JointStep`; MMLM ``match``; SCA
    ``alignment``. Equations are those of the note and the code; the paper's numbers are not known to us.
    """

    Config = MMMConfig
    summary = "clusters matched by several memories, soft alignment of matched clusters (ECCV 2024)"

    shared_memory: ClusterMemory

    def __init__(self, config: MMMConfig, encoder: TwoStreamEncoder) -> None:
        super().__init__(config, encoder)
        weights = config.shared_weight, config.intra_weight, config.inter_weight
        self.matches = config.phase == "match" and any(weights)
        if config.phase == "match" and config.relabel == "once":
            self.labeller = make_teacher(encoder)  # never updated, so that a resumed run finds the same labels
            self.embeds = ("labeller",)

    @classmethod
    def stages(cls, config: MMMConfig) -> tuple[Stage, ...]:
        phases = [config.cmc_phase] * (config.cmc or config.phase == "cmc") + [config] * (config.phase == "match")
        return warmup(config), *(Stage("mmm", phase) for phase in phases)

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        return {"student": self.encoder, **{name: getattr(self, name) for name in self.embeds}}

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Cluster each modality, and both together by CMC (cross-modality clustering).

        ``D_i`` is the code of image ``i``, and ``j`` one of its ``joint_k2`` nearest images, ``n_im`` of which are of
        ``j``'s modality ``m``, out of ``M_i`` modalities. The expanded code is ``sum_j D_j / (M_i n_im)``. The memory
        row of a joint cluster is ``A_k = unit(mean_v / 2 + mean_r / 2)``
        (:func:`usvi_bench.components.memory.hybrid.joint_centroids`).
        """
        c = self.config
        seen = features.by_model["labeller"] if self.embeds else features
        own = super().label(seen, progress)
        labels = add_joint_clusters(own, seen, replace(c.clustering, k1=c.joint_k1, k2=c.joint_k2))
        return self.match(seen, labels, progress) if self.matches else labels

    def match(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> PseudoLabels:
        """Give images the classes ``z`` by MMLM (multi-memory learning and matching).

        ``V_ai`` and ``R_bj`` are the means of the parts into which k-means splits visible cluster ``a`` and infrared
        cluster ``b``, four each. The classes are the infrared clusters::

            M(V_a, R_b) = sum_i min_j |V_ai - R_bj|
            Q = argmin over assignments of sum_ab Q_ab M(V_a, R_b)    z_visible = Q y_visible    z_infrared = y_infrared
        """
        c = self.config
        visible, infrared = (
            sub_centres(*part, c.memories, 0.0, torch_generator(progress.seed, "memories", m))[:, 1:]
            for m, part in clustered(features, labels).items()
        )
        partner = self.partners_by(matching_costs(visible, infrared, c.cost_side))
        classes = torch.where(labels.visible != OUTLIER, partner[labels.visible], OUTLIER)
        extra = {**labels.extra, "matched": (classes, labels.infrared)}
        return replace(labels, visible_to_infrared=partner, extra=extra)

    def partners_by(self, cost: Tensor) -> Tensor:
        """Return the infrared partner ``[Kv]`` of each visible cluster by the costs ``[Kv, Kr]``, or -1."""
        return match_costs(cost, self.config.matching)

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        super().begin_epoch(features, labels, progress)
        self.figures: dict[str, Tensor] = {}
        self.joint_memory = self.shared_rows(features, labels["joint_clusters"])
        self.joint_batches = JointBatches(labels["joint"])
        self.class_samples: tuple[tuple[Tensor, Tensor], ...] = ()
        if self.matches:
            self.shared_memory = self.shared_rows(features, labels["matched"])
            self.matched_batches = JointBatches(labels["matched"], "matched", paired=True)
            self.own = by_modality(labels["clusters"])
            samples = by_modality(zip((features.visible, features.infrared), labels["matched"], strict=True))
            self.confidence = {m: self.confidence_in(*part) for m, part in samples.items()}
            self.prototypes = {m: self.prototypes_of(*samples[m], w, progress) for m, w in self.confidence.items()}
            assert labels.visible_to_infrared is not None
            self.figures["matched"] = (labels.visible_to_infrared != UNMATCHED).float().mean()
            for m, w in self.confidence.items():
                self.figures[f"confidence_{m}"] = w.sum() / (samples[m][1] != OUTLIER).sum().clamp(min=1)

    def shared_rows(self, features: Features, classes: tuple[Tensor, Tensor]) -> ClusterMemory:
        """Build a memory of clusters of both modalities, each the unit mean of its two modality means."""
        c = self.config
        rows = joint_centroids(features.visible, features.infrared, classes)
        return ClusterMemory(rows, c.temperature, c.momentum, c.update)

    def confidence_in(self, features: Tensor, classes: Tensor) -> Tensor:
        """Return the confidence ``[N]`` in classes, from the losses against the shared memory; 0 for outliers."""
        if self.config.confidence == "none":
            return (classes != OUTLIER).float()
        logits = self.shared_memory.logits(features)
        return confidence(F.cross_entropy(logits, classes, ignore_index=OUTLIER, reduction="none"), classes)

    def prototypes_of(self, features: Tensor, classes: Tensor, weights: Tensor, progress: StageProgress) -> Tensor:
        """Return the prototypes of the classes in one modality, ``C_p = sum_i w_i f_i / sum_i w_i``."""
        return class_prototypes(features, classes, weights, len(self.shared_memory.rows), by_count=False)

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        batch = self.matched_batches.next(next_batch) if self.matches else None
        if batch is None and not self.config.cluster_weight:
            batch = next_batch("matched", paired=True)  # nothing else to train: stop with the reason
        optimise(self.loss(next_batch(), progress) if batch is None else self.matched_loss(batch, progress))
        self.end_step(progress)
        if self.config.cluster_weight:
            self.take_joint_step(next_batch, optimise)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        self.class_samples = ()
        return self.weighted(super().loss(batch, progress))

    def joint_loss(self, batch: Batch) -> Losses:
        return self.weighted(super().joint_loss(batch))

    def weighted(self, losses: Losses) -> Losses:
        """Multiply contrasts with clusters by their weight; leave them out if it is 0."""
        weight = self.config.cluster_weight
        return {name: weight * value for name, value in losses.items()} if weight else {}

    def matched_loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Return the loss of step 1 on a paired batch: ``L = C_v + C_r + C_shared + 0.5 Intra + 0.05 Inter``.

        ``C_shared = -mean_i w_i log softmax(S f_i / tau)[z_i]`` is over the samples of both modalities, ``S`` being the
        memory of the classes and ``w`` the confidence.
        """
        c, parts = self.config, by_modality((batch.visible, batch.infrared))
        both, classes = embed_together(self.encoder, batch), view_labels(batch)
        visible, infrared = features = split(both, [len(z) for z in classes.values()])
        own = Batch(*(replace(part, labels=self.own[m][part.index]) for m, part in parts.items()))
        losses = self.weighted(self.contrast(visible, infrared, own))
        self.class_samples = tuple(zip(map(detached, features), classes.values(), strict=True))
        trust = torch.cat([self.confidence[m][part.index].repeat(len(part.views)) for m, part in parts.items()])
        if c.shared_weight:
            z = torch.cat(list(classes.values()))
            costs = F.cross_entropy(self.shared_memory.logits(both), z, reduction="none")
            losses["shared"] = c.shared_weight * (trust * costs).mean()
        return losses | self.alignment(unit(both), classes, trust, progress)

    def alignment(self, f: Tensor, classes: dict[Modality, Tensor], trust: Tensor, progress: StageProgress) -> Losses:
        """Align the two modalities of a class by SCA (soft cluster-level alignment).

        ``f`` are unit features, ``V_p`` and ``R_p`` those of class ``p`` in each modality, ``C`` the prototypes, and
        sg the stop-gradient::

            Intra = mean_visible |f_i - C_z|^2 + mean_infrared |f_i - C_z|^2
            Inter = (1 / P) sum_p (1 / 2) [D(V_p, sg R_p) + D(R_p, sg V_p)]

        ``D`` is :func:`usvi_bench.components.alignment.discrepancy`.
        """
        c, losses, sizes = self.config, Losses(), [len(z) for z in classes.values()]
        if c.intra_weight:
            prototypes = torch.cat([self.prototypes[m][z] for m, z in classes.items()])
            visible, infrared = intra_costs(f, prototypes, trust, c.intra_norm).split(sizes)
            losses["intra"] = c.intra_weight * (visible.mean() + infrared.mean())
        if c.inter_weight and progress.fraction >= c.inter_start:
            visible, infrared = f.split(sizes)
            weight, views = (0.5, 1) if c.inter_form == "half" else (1, len(self.visible_views))
            term = inter_loss(visible, infrared, (classes["visible"], classes["infrared"]), views)
            losses["inter"] = weight * c.inter_weight * term
        return losses

    def updates(self) -> list[tuple[ClusterMemory, Tensor, Tensor]]:
        """Update the memory of each modality, and the shared memory by visible and then infrared samples."""
        return super().updates() + [(self.shared_memory, *samples) for samples in self.class_samples]

    def diagnostics(self) -> Mapping[str, Tensor]:
        return self.figures
