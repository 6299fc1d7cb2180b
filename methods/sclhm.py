"""SCLHM: soft smooth contrastive learning (SSCL), hybrid memory learning (HML), adaptive memory update (AMU).

"Soft smooth contrastive learning with hybrid memory for unsupervised visible-infrared person re-identification",
Zhang C., Su Y., Wang N. et al., Scientific Reports 16, 13951 (2026), https://doi.org/10.1038/s41598-026-44364-0.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.association import ASSOCIATIONS, UNMATCHED, paired
from usvi_bench.components.clustering.labelling import centroids_of, cluster_each_modality
from usvi_bench.components.crossing import cross_direction
from usvi_bench.components.ema import ema_step, make_teacher
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.losses import soft_cross_entropy, teacher_targets
from usvi_bench.components.memory.hybrid import blend
from usvi_bench.components.memory.shared_update import UpdateSamples, adaptive_update, plain_update
from usvi_bench.components.modalities import by_modality
from usvi_bench.core.bounds import EPOCHS, TINY, WEIGHT, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import MODALITIES, Batch, Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.base import Method, Stage
from usvi_bench.methods.cluster_contrast import ClusterContrastConfig, warmup


@dataclass(frozen=True)
class SCLHMConfig(ClusterContrastConfig):
    """Hyper-parameters of SCLHM, beside those of its first stage; the paper's values are not public."""

    sscl: bool = True
    """Use soft smooth contrastive learning (SSCL), with targets softened by the teacher. False: hard labels."""
    hml: bool = True
    """Use hybrid memory learning (HML): contrast both modalities with the hybrid memory."""
    amu: bool = True
    """Use the adaptive memory update (AMU). False: the rule ``update``."""
    warmup_epochs: int | None = bounded(None, 1, EPOCHS)
    """Epochs of the first stage, dual cluster contrast; None for the length of the second stage."""
    sscl_on: tuple[Literal["visible", "infrared", "hybrid"], ...] = ("visible", "infrared", "hybrid")
    """Memories whose targets are softened."""
    smoothing: float = bounded(0.3, 0, 1)
    """Weight of the teacher's soft assignment in a target [eps_s]; DCCC's scripts have 0.1 and 0.3."""
    consistency: Literal["plain", "sample", "class"] = "plain"
    """Form of the targets. ``sample`` smooths reliable samples less. ``class`` averages soft assignments over the
    samples of a cluster in the batch; the trust in an update stays that of the single sample."""
    teacher_view: Literal["independent", "same"] = "independent"
    """Input of the teacher: another augmentation of each image than the student's, or the same tensors."""
    ema_window: float = bounded(0.1, TINY, 1)
    """Averaging window of the teacher as a fraction of the stage; 0.1 of 10,000 steps is a decay of 0.999 [alpha]."""
    association: Literal["nn", "mutual", "hungarian", "sinkhorn"] = "nn"
    """Way of association of visible and infrared clusters for the hybrid memory."""
    members: Literal["top1", "group"] = "top1"
    """Clusters of the larger side that enter a hybrid row: the most similar one, or all whose partner the row is."""
    beta: float = bounded(0.5, 0, 1)
    """Weight of the infrared centroid in a hybrid row [beta]."""
    hybrid_dir: Literal["both", "alternate"] = "both"
    """Modalities contrasted with the hybrid memory: both in all epochs, or visible in even and infrared in odd ones."""
    hybrid_weight: float = bounded(0.5, 0, WEIGHT)
    """Weight of the hybrid loss [lambda_h]; 0.5 as in RPNR."""
    cross_weight: float = bounded(0.0, 0, WEIGHT)
    """Weight of PGM's cross contrast [lambda_x], which updates no memory here; 0.25 in PGM and RPNR."""
    amu_temperature: float = bounded(0.09, TINY, 1000)
    """Temperature of the preference for unusual samples in an update [tau_w]; the default of DCCC."""
    trust: float = bounded(1.0, 0, 1000)
    """Exponent of the trust in a sample's label in an update [gamma]; 0 is the rule of DCCC, which has no trust."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.amu and self.trust and self.amu_temperature <= self.temperature / self.trust:
            warnings.warn(
                f"amu_temperature={self.amu_temperature} is not above temperature/trust="
                f"{self.temperature / self.trust:g}: mislabelled images would get the largest weights",
                stacklevel=2,
            )


@METHODS.register("sclhm")
class SCLHM(Method):
    """SCLHM: targets softened by a teacher, a hybrid memory of both modalities, and adaptive memory updates.

    L = S_visible + S_infrared + lambda_h (H_visible + H_infrared) / 2. S is the loss of SSCL with the memory of the own
    modality (:meth:`contrast`), and H the loss of SSCL with the hybrid memory of HML
    (:func:`usvi_bench.components.memory.hybrid.blend`). All memories are updated by AMU (:meth:`update_memory`).

    **Known publicly:** the three modules and their purpose. SSCL blends the soft assignments of a teacher, an average
    of the student, with the hard ones. HML has a third memory that mixes the most similar visible and infrared rows.
    AMU favours unusual but trustworthy samples in a memory update. No formula, constant or figure of the paper was
    available to us, and its repository (Emersonzc/SCLHM @c5b10d3) is empty.

    **Our reconstruction:** every formula and constant. SSCL and the form of AMU follow DCCC (theziqi/DCCC @102d8ef).
    HML follows RPNR (XiangboYin/RPNR @6647f21), which pairs clusters by Sinkhorn and alternates between the modalities
    (``association``, ``hybrid_dir``). Stages, clustering, augmentation and centroids follow ADCA (yangbincv/ADCA
    @8d0a8cb); its centroids are means of features that are not normalised. Ours alone are the trust in AMU, the
    swapped views of the teacher, and the equal weight of both modalities in an update of the hybrid memory.

    **Where:** SSCL is ``contrast``; HML ``begin_epoch`` and ``hybrid_losses``; AMU ``update_memory``. No equation has a
    number, for none of the paper is public.
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

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        c = self.config
        labels = cluster_each_modality(features, c.clustering)
        return paired(labels, ASSOCIATIONS[c.association](*centroids_of(features, labels)))

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        """Build the three memories; HML (hybrid memory learning) blends the third from the other two.

        ``H_k = unit(beta M^r_k + (1 - beta) M^v_p(k))``, where ``p(k)`` is the visible partner of infrared cluster
        ``k``; the modality with fewer clusters numbers the rows (:func:`usvi_bench.components.memory.hybrid.blend`).
        """
        c = self.config
        (visible, infrared), partners = centroids_of(features, labels), labels["partners"]
        hybrid, *rows = blend(visible, infrared, partners, c.beta, c.members)
        memories = {"visible": visible, "infrared": infrared, "hybrid": hybrid}
        # The rows are unit already; a second normalisation keeps the rounding of ``ClusterMemory``.
        self.memories = {name: normalize(memory) for name, memory in memories.items()}
        self.partners, self.hybrid_rows = by_modality(partners), by_modality(rows)
        self.figures: dict[str, list[Tensor]] = {"consistency": [], "moved_mass": [], "effective_samples": []}

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Return ``L = S_v(M^v) + S_r(M^r) + lambda_h (S_v(H) + S_r(H)) / 2 + lambda_x L_x``, ``S`` the SSCL loss."""
        c = self.config
        student, teacher = self.embed_pair(batch)
        labels = by_modality((batch.visible.view_labels, batch.infrared.labels))
        self.pending_updates: dict[str, list[UpdateSamples]] = {name: [] for name in self.memories}
        losses: Losses = {m: self.contrast(m, student[m], teacher[m], labels[m]) for m in MODALITIES}
        if c.hml:
            losses |= self.hybrid_losses(student, teacher, labels, progress)
        if c.cross_weight:
            losses["cross"] = c.cross_weight * self.cross(student, labels, progress)
        return losses

    def hybrid_losses(
        self,
        student: dict[Modality, Tensor],
        teacher: dict[Modality, Tensor],
        labels: dict[Modality, Tensor],
        progress: StageProgress,
    ) -> Losses:
        """Contrast both modalities with the hybrid memory (HML): ``lambda_h (S_v(H) + S_r(H)) / 2``."""
        losses: Losses = {}
        for modality in MODALITIES:
            rows = self.hybrid_rows[modality][labels[modality]]
            term = self.contrast("hybrid", student[modality], teacher[modality], rows)
            weight = self.config.hybrid_weight * self.hybrid_weight_for(modality, progress)
            losses[f"hybrid_{modality}"] = weight * term
        return losses

    def embed_pair(self, batch: Batch) -> tuple[dict[Modality, Tensor], dict[Modality, Tensor]]:
        """Embed a batch by student and teacher.

        With ``teacher_view=independent`` the teacher sees the other visible view of each image and another augmentation
        of each infrared image.

        Returns:
            Unit features of the student and of the teacher, by modality, in the same order of images.
        """
        plain, channel = batch.visible.views
        first, last = batch.infrared.views[0], batch.infrared.views[-1]
        swap = self.config.teacher_view == "independent"
        # Grouped batch normalisation takes its running statistics from the first part of a batch. This part has to
        # hold plain images, because test images are plain. With one group the order is free: it is that of the records.
        late = swap and self.teacher.groups > 1
        views = (channel, plain) if swap and not late else (plain, channel)
        student = normalize(self.encoder(torch.cat([plain, channel]), first))
        with torch.no_grad():
            teacher = normalize(self.teacher(torch.cat(views), last))
        cut = [2 * len(plain), len(first)]
        visible, infrared = teacher.split(cut)
        visible = visible.roll(len(plain), 0) if late else visible
        return by_modality(student.split(cut)), by_modality((visible, infrared))

    def contrast(self, memory: str, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Contrast one modality's samples with one memory ``M`` by SSCL (soft smooth contrastive learning).

        ``f`` is a unit feature of the student, ``t`` the teacher's of the same image, ``y`` the cluster::

            p = softmax(M f / tau)    q = softmax(M t / tau)
            target = (1 - eps_s) onehot(y) + eps_s q
            S(M) = -(1 / B) sum_i sum_k target_ik log p_ik

        The targets are :func:`usvi_bench.components.losses.teacher_targets`. Samples without a row are left out.
        """
        if memory == "hybrid" and not (kept := labels != UNMATCHED).all():
            if not kept.any():
                return student.sum() * 0
            student, teacher, labels = student[kept], teacher[kept], labels[kept]
        c = self.config
        logits = student @ self.memories[memory].T / c.temperature
        soft = (teacher @ self.memories[memory].T / c.temperature).softmax(dim=1)
        smooth = c.sscl and memory in c.sscl_on
        targets = teacher_targets(labels, soft, c.smoothing if smooth else 0.0, c.consistency)
        belief = soft if c.sscl else logits.detach().softmax(dim=1)
        trust = belief.gather(1, labels[:, None]).squeeze(1)
        self.pending_updates[memory].append(UpdateSamples(student.detach(), labels, trust))
        if memory != "hybrid":
            assigned = targets.gather(1, labels[:, None])
            self.figures["consistency"].append(soft.gather(1, labels[:, None]).mean())
            self.figures["moved_mass"].append(1 - assigned.mean())
        return soft_cross_entropy(logits, targets)

    def hybrid_weight_for(self, modality: Modality, progress: StageProgress) -> float:
        """Return the weight of a modality in the hybrid loss (HML) of an epoch.

        The weight is 1/2 in every epoch. If the modalities alternate, it is 1 for visible in even epochs and for
        infrared in odd epochs, and else 0.
        """
        if self.config.hybrid_dir == "both":
            return 0.5
        return float((modality == "infrared") == (progress.epoch % 2 == 1))

    def cross(self, student: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress) -> Tensor:
        """Contrast one modality with the other's memory, alternating as in PGM; the memory is not updated."""
        source, target = cross_direction(progress.epoch)
        partners = self.partners[source][labels[source]]
        logits = student[source] @ self.memories[target].T / self.config.temperature
        kept = partners != UNMATCHED
        return cross_entropy(logits[kept], partners[kept]) if kept.any() else logits.sum() * 0

    @torch.no_grad()
    def end_step(self, progress: StageProgress) -> None:
        ema_step(self.teacher, self.encoder, self.config.ema_window, progress)
        for name, samples in self.pending_updates.items():
            if samples:
                self.memories[name] = self.update_memory(self.memories[name], samples)

    def update_memory(self, rows: Tensor, samples: list[UpdateSamples]) -> Tensor:
        """Update a memory by AMU (adaptive-weight memory update), or by the rule ``update`` if AMU is off.

        ``q_i`` is the teacher's probability that sample ``i`` belongs to its row ``k``::

            w_i = softmax over the samples i of row k of ( -cos(f_i, M_k) / tau_w + gamma log q_i )
            M_k <- unit( mu M_k + (1 - mu) sum_i w_i f_i )

        Modalities that share a memory have equal weight in every row; see
        :func:`usvi_bench.components.memory.shared_update.adaptive_update`.
        """
        c = self.config
        if not c.amu:
            return plain_update(rows, samples, c.update, c.momentum)
        rows, effective = adaptive_update(rows, samples, c.amu_temperature, c.trust, c.momentum)
        self.figures["effective_samples"] += effective
        return rows

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        return {"teacher": self.teacher, "student": self.encoder}

    def diagnostics(self) -> Mapping[str, Tensor]:
        return {name: torch.stack(values).mean() for name, values in self.figures.items() if values}
