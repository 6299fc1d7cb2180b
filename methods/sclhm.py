"""SCLHM: soft, smooth contrast against a student's own memories and a hybrid of both modalities.

"Soft smooth contrastive learning with hybrid memory for unsupervised visible-infrared person re-identification",
Zhang C., Su Y., Wang N. et al., Scientific Reports 16, 13951 (2026), https://doi.org/10.1038/s41598-026-44364-0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from components.association import UNMATCHED, match, mutual_match, nearest_match, sinkhorn_match
from components.clustering import centroids
from components.ema import alpha_for, ema_coefficient, ema_update, make_teacher
from components.encoder import TwoStreamEncoder
from components.hybrid import average, blend
from components.labelling import cluster_each_modality
from components.losses import smoothed_targets, soft_cross_entropy
from components.memory import UPDATE_RULES, adaptive_weights, mean_weights, momentum_step, weighted_sum
from engine.registry import METHODS
from engine.types import MODALITIES, Batch, Clock, Features, Losses, Modality, PseudoLabels
from methods.base import Method, Stage
from methods.cluster_contrast import TINY, ClusterContrastConfig, warmup

ASSOCIATIONS = {"nn": nearest_match, "mutual": mutual_match, "hungarian": match, "sinkhorn": sinkhorn_match}


@dataclass(frozen=True)
class SCLHMConfig(ClusterContrastConfig):
    """Hyper-parameters of SCLHM, beside those of its first stage; none is given publicly by the paper."""

    sscl: bool = True
    """Soft smooth contrastive learning: targets softened by the teacher. False: cluster labels as they are."""
    hml: bool = True
    """Hybrid memory learning: contrast both modalities with the blended memory."""
    amu: bool = True
    """Adaptive-weight memory update. False: the rule named by ``update``."""
    warmup_epochs: int | None = None
    """Epochs of the first stage, dual cluster contrast; as many as the second by default."""
    sscl_on: tuple[Literal["visible", "infrared", "hybrid"], ...] = ("visible", "infrared", "hybrid")
    """Memories whose targets are softened."""
    smoothing: float = 0.3
    """Weight of the teacher's soft assignment in a target [eps_s]; DCCC's scripts have 0.1 and 0.3."""
    consistency: Literal["plain", "sample", "class"] = "plain"
    """``sample``: smooth reliable samples less. ``class``: share soft assignments within a cluster of the batch."""
    teacher_view: Literal["independent", "same"] = "independent"
    """Whether the teacher sees another augmentation of each image than the student, or the same tensors."""
    ema_window: float = 0.1
    """Averaging window of the teacher as a fraction of the stage: 0.1 of 10,000 steps is a decay of 0.999 [alpha]."""
    association: Literal["nn", "mutual", "hungarian", "sinkhorn"] = "nn"
    """How visible and infrared clusters are paired for the blend."""
    members: Literal["top1", "group"] = "top1"
    """Which clusters of the larger side enter a blend: the most similar one, or all that chose the row."""
    beta: float = 0.5
    """Share of the infrared entry in a blended one."""
    hybrid_dir: Literal["both", "alternate"] = "both"
    """Contrast both modalities with the hybrid memory in every epoch, or infrared and visible in turn."""
    hybrid_weight: float = 0.5
    """Weight of the hybrid loss [lambda_h], as in RPNR."""
    cross_weight: float = 0.0
    """Weight of a direct cross-modal contrast [lambda_x]; 0.25 in PGM and RPNR."""
    amu_temperature: float = 0.09
    """How strongly unusual samples are preferred in an update [tau_w]; DCCC's default."""
    trust: float = 1.0
    """Exponent of the trust in a sample's label in an update [gamma]; 0 is DCCC's ungated rule."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(0, 1, "smoothing", "beta")
        self.check_range(TINY, 1, "ema_window")
        self.check_range(TINY, math.inf, "amu_temperature")
        self.check_range(0, math.inf, "hybrid_weight", "cross_weight", "trust")
        if self.warmup_epochs is not None:
            self.check_range(1, math.inf, "warmup_epochs")
        if self.amu and self.trust and self.amu_temperature <= self.temperature / self.trust:
            warnings.warn(
                f"amu_temperature={self.amu_temperature} is not above temperature/trust="
                f"{self.temperature / self.trust:g}: mislabelled images would get the largest weights",
                stacklevel=2,
            )


@dataclass(frozen=True)
class Seen:
    """One modality's samples in one step, for the update of one memory.

    Attributes:
        features: ``[B, D]`` unit features of the student, without gradient.
        labels: ``[B]`` rows of the memory.
        trust: ``[B]`` probability of the assigned row.
    """

    features: Tensor
    labels: Tensor
    trust: Tensor


@METHODS.register("sclhm")
class SCLHM(Method):
    """A slowly moving teacher softens the targets; visible and infrared clusters meet in a third, blended memory.

    **Known publicly:** three modules (SSCL, HML, AMU) and what each is for: soft assignments of a teacher, an
    average of the student, are blended with the hard ones; a third memory mixes the most similar visible and
    infrared entries; memory updates favour unusual but trustworthy samples. No formula, constant or figure of the
    paper was available to us, and its repository (Emersonzc/SCLHM @c5b10d3) is empty.

    **Our reconstruction:** every formula and constant. SSCL and the form of AMU follow DCCC (theziqi/DCCC @102d8ef),
    HML follows RPNR (XiangboYin/RPNR @6647f21), stages, clustering and augmentation follow ADCA (yangbincv/ADCA
    @8d0a8cb). Ours alone: the trust factor in AMU, the swapped views of the teacher, the two-sided hybrid update.
    """

    Config = SCLHMConfig
    headline = "teacher"
    summary = "soft smooth contrast, hybrid memory, adaptive updates (2026; our reconstruction)"

    memories: dict[str, Tensor]
    """Rows of the ``visible``, ``infrared`` and ``hybrid`` memory, each ``[K, D]``."""

    def __init__(self, config: SCLHMConfig, encoder: TwoStreamEncoder) -> None:
        super().__init__(config, encoder)
        self.teacher = make_teacher(encoder)
        if config.teacher_view == "independent":
            self.infrared_views = ("infrared", "infrared")

    @classmethod
    def stages(cls, config: SCLHMConfig) -> tuple[Stage, ...]:
        return warmup(config, config.warmup_epochs), Stage("sclhm", config)

    def label(self, features: Features, clock: Clock) -> PseudoLabels:
        c = self.config
        labels = cluster_each_modality(features, c.clustering)
        rows = centroids(features.visible, labels.visible), centroids(features.infrared, labels.infrared)
        to_infrared, _ = ASSOCIATIONS[c.association](*rows)
        return PseudoLabels(visible=labels.visible, infrared=labels.infrared, visible_to_infrared=to_infrared)

    def begin_epoch(self, features: Features, labels: PseudoLabels, clock: Clock) -> None:
        c = self.config
        visible = centroids(features.visible, labels.visible)
        infrared = centroids(features.infrared, labels.infrared)
        self.partners = ASSOCIATIONS[c.association](visible, infrared)
        hybrid, *rows = blend(visible, infrared, self.partners, c.beta, c.members)
        self.memories = {"visible": visible, "infrared": infrared, "hybrid": hybrid}
        self.hybrid_rows = dict(zip(MODALITIES, rows, strict=True))
        self.alpha = alpha_for(max(c.ema_window, 1 / clock.iterations), clock.iterations)
        self.figures: dict[str, list[Tensor]] = {"consistency": [], "moved_mass": [], "effective_samples": []}

    def loss(self, batch: Batch, clock: Clock) -> Losses:
        c = self.config
        student, teacher = self.embed_pair(batch)
        labels = {"visible": batch.visible.view_labels, "infrared": batch.infrared.labels}
        self.seen: dict[str, list[Seen]] = {name: [] for name in self.memories}
        losses: Losses = {m: self.contrast(m, student[m], teacher[m], labels[m]) for m in MODALITIES}
        for modality in MODALITIES if c.hml else ():
            rows = self.hybrid_rows[modality][labels[modality]]
            term = self.contrast("hybrid", student[modality], teacher[modality], rows)
            losses[f"hybrid_{modality}"] = c.hybrid_weight * self.hybrid_share(modality, clock) * term
        if c.cross_weight:
            losses["cross"] = c.cross_weight * self.cross(student, labels, clock)
        return losses

    def embed_pair(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Unit features of student and teacher, by modality; both visible views, in the student's order."""
        plain, channel = batch.visible.views
        swapped = (channel, plain) if self.config.teacher_view == "independent" else (plain, channel)
        first, last = batch.infrared.views[0], batch.infrared.views[-1]
        student = normalize(self.encoder(torch.cat([plain, channel]), first))
        with torch.no_grad():
            teacher = normalize(self.teacher(torch.cat(swapped), last))
        cut = [2 * len(plain), len(first)]
        return dict(zip(MODALITIES, student.split(cut), strict=True)), dict(
            zip(MODALITIES, teacher.split(cut), strict=True)
        )

    def contrast(self, memory: str, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """SSCL of one modality's samples against one memory; samples without a row in it are left out."""
        if memory == "hybrid" and not (kept := labels != UNMATCHED).all():
            if not kept.any():
                return student.sum() * 0
            student, teacher, labels = student[kept], teacher[kept], labels[kept]
        c = self.config
        logits = student @ self.memories[memory].T / c.temperature
        soft = (teacher @ self.memories[memory].T / c.temperature).softmax(dim=1)
        smooth = c.sscl and memory in c.sscl_on
        targets = smooth_targets(labels, soft, c.smoothing if smooth else 0.0, c.consistency)
        belief = soft if c.sscl else logits.detach().softmax(dim=1)
        trust = belief.gather(1, labels[:, None]).squeeze(1)
        self.seen[memory].append(Seen(student.detach(), labels, trust))
        if memory != "hybrid":
            assigned = targets.gather(1, labels[:, None])
            self.figures["consistency"].append(soft.gather(1, labels[:, None]).mean())
            self.figures["moved_mass"].append(1 - assigned.mean())
        return soft_cross_entropy(logits, targets)

    def hybrid_share(self, modality: Modality, clock: Clock) -> float:
        """Weight of a modality in the hybrid loss of this epoch; infrared has the odd epochs when they alternate."""
        if self.config.hybrid_dir == "both":
            return 0.5
        return float((modality == "infrared") == (clock.epoch % 2 == 1))

    def cross(self, student: dict[str, Tensor], labels: dict[str, Tensor], clock: Clock) -> Tensor:
        """PGM's alternating contrast with the other modality's memory, which it does not move."""
        source, target = MODALITIES if clock.epoch % 2 == 0 else MODALITIES[::-1]
        partners = self.partners[MODALITIES.index(source)][labels[source]]
        logits = student[source] @ self.memories[target].T / self.config.temperature
        kept = partners != UNMATCHED
        return cross_entropy(logits[kept], partners[kept]) if kept.any() else logits.sum() * 0

    @torch.no_grad()
    def end_step(self, clock: Clock) -> None:
        ema_update(self.teacher, self.encoder, ema_coefficient(clock.iteration, self.alpha))
        for name, seen in self.seen.items():
            if seen:
                self.memories[name] = self.updated(self.memories[name], seen)

    def updated(self, rows: Tensor, seen: list[Seen]) -> Tensor:
        """AMU, or the plain rule; modalities that share a memory have equal say in every row."""
        c = self.config
        if not c.amu:
            moved = [UPDATE_RULES[c.update](rows, s.features, s.labels, c.momentum) for s in seen]
            if len(moved) == 1:
                return moved[0]
            present = [s.labels.bincount(minlength=len(rows)) > 0 for s in seen]
            return momentum_step(rows, *average(moved, present), momentum=0.0)
        sums = []
        for s in seen:
            weights = adaptive_weights(rows, s.features, s.labels, s.trust, c.amu_temperature, c.trust)
            self.figures["effective_samples"].append(len(s.labels.unique()) / (weights**2).sum())
            sums.append(weighted_sum(s.features, s.labels, weights, len(rows)))
        if len(sums) == 1:
            return momentum_step(rows, *sums[0], c.momentum)
        return momentum_step(rows, *average([normalize(total) for total, _ in sums], [p for _, p in sums]), c.momentum)

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        return {"teacher": self.teacher, "student": self.encoder}

    def diagnostics(self) -> Mapping[str, Tensor]:
        return {name: torch.stack(values).mean() for name, values in self.figures.items() if values}


def smooth_targets(labels: Tensor, soft: Tensor, smoothing: float, consistency: str) -> Tensor:
    """Targets of SSCL: the cluster label blended with the teacher's soft assignment.

    The mass left on the label is ``1 - smoothing * (1 - c)`` with ``c = soft[label]``: an image that the teacher
    finds consistent with its cluster is hardly smoothed.

    Args:
        labels: ``[B]`` rows of the memory.
        soft: ``[B, K]`` the teacher's probabilities.
        smoothing: weight of the soft assignment [eps_s].
        consistency: ``plain``; ``sample`` scales the weight by ``1 - c``; ``class`` blends ``soft`` half and half
            with its mean over the samples of the batch that have the same label.
    """
    if consistency == "sample":
        return smoothed_targets(labels, soft, smoothing * (1 - soft.gather(1, labels[:, None]).squeeze(1)))
    if consistency == "class":
        means, _ = weighted_sum(soft, labels, mean_weights(labels), soft.shape[1])
        soft = (soft + means[labels]) / 2
    return smoothed_targets(labels, soft, smoothing)
