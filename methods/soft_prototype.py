"""SPCL-ID: soft prototypes and instance discrimination, learnt from instances to classes.

"Soft Prototype Contrastive Learning and Instance Discrimination for Unsupervised Visible-Infrared Person
Re-Identification", Li M., Yang J., Journal of Imaging Science and Technology 70(4), 040505, 2026,
https://library.imaging.org/jist/articles/fasttrack/0/040505/2025013. **Only its abstract is public: nearly all that
follows is our reconstruction.**
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from usvi_bench.components.crossing import cross_direction, matched
from usvi_bench.components.ema import copy_batch_norm_statistics, ema_step, make_teacher
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.memory.cluster import update_together
from usvi_bench.components.memory.instance_batch import InstanceBatch
from usvi_bench.components.memory.instance_discrimination import ImageBank, InstanceSettings, update_banks
from usvi_bench.components.memory.module_dict import module_dict
from usvi_bench.components.memory.rules import Update
from usvi_bench.components.memory.soft_prototypes import (
    LOSSES,
    PrototypeIndex,
    Scope,
    SoftPrototypes,
    nearest_prototypes,
    random_prototypes,
)
from usvi_bench.components.modalities import by_modality, clustered
from usvi_bench.components.unit import unit
from usvi_bench.core.bounds import EPOCHS, TINY, WEIGHT, bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import (
    MODALITIES,
    Batch,
    Features,
    Losses,
    Modality,
    NextBatch,
    Optimise,
    PseudoLabels,
    StageProgress,
)
from usvi_bench.methods.base import Stage
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup


@dataclass(frozen=True)
class SoftPrototypeConfig(InstanceSettings, ClusterContrastConfig):
    """Hyper-parameters of SPCL-ID, beside those of instance discrimination and of cluster contrast.

    The paper's values are not public.
    """

    update: Update = "mean"
    """Update rule of the centroids in the second stage; the mean of a batch, as in PCLHD."""
    first_update: Update = "mean"
    """Update rule of the centroids in the first stage; other methods have ``sequential`` there."""
    phase: Literal["first", "second"] = "second"
    """Stage that these settings train. The method sets it; leave it out."""
    warmup_epochs: int | None = bounded(None, 1, EPOCHS)
    """Epochs of the first stage; None for the length of the second stage."""
    prototypes: Literal["nearest", "random", "none"] = "nearest"
    """Prototypes of a cluster: the images nearest to the centroid, random images with the contrast of PCLHD as the
    control, or none."""
    soft_weights: bool = True
    """Weight prototypes by their similarity to the centroid. False: equal weights."""
    slots: int = bounded(16, 1, 256)
    """Largest number of prototypes of a cluster [K]; 16 as in PCLHD."""
    share: float = bounded(0.5, TINY, 1)
    """Largest number of prototypes of a cluster as a share of its images [phi]."""
    scope: Scope = "cluster"
    """Images that prototypes are chosen from: those of the cluster, or all of the modality."""
    floor: float | None = bounded(None, 0, 1)
    """Smallest similarity of a prototype to the centroid, as a share of the largest one [kappa]; None for no bound."""
    weight_temperature: float = bounded(0.05, TINY, 1000)
    """Temperature of the soft weights [tau_w]; 1 in SNCLR, which would make them nearly equal here."""
    prototype_loss: Literal["per_rank", "joint", "mean"] = "per_rank"
    """Form of the contrast with weighted prototypes: a softmax for each rank (``per_rank``), one softmax over all
    prototypes (``joint``), or one over the weighted mean of each cluster's prototypes (``mean``)."""
    prototype_weight: float = bounded(0.5, 0, 1)
    """Largest weight of the prototypes in the contrast [eta_max]; centroids have the rest."""
    prototype_ramp: float = bounded(0.2, TINY, 1)
    """Fraction of the second stage in which the weight of the prototypes rises from 0 [R_S = 10 of 50 epochs]."""
    cross_weight: float = bounded(0.25, 0, WEIGHT)
    """Weight of the contrast with the other modality's matched clusters in the second stage; 0.25 as in PGM."""
    cross_updates: bool = True
    """Update the other modality's centroids with the samples contrasted with them, as in PGM's code."""
    ema_window: float = bounded(0.1, TINY, 1)
    """Averaging window of the teacher as a fraction of the stage; 0.1 of 10,000 steps is a decay of 0.999."""

    @property
    def first_stage(self) -> Stage:
        """First stage: cluster contrast, with instance discrimination if that is on.

        Settings of the second stage have their defaults, so that one training serves all runs that differ only there.
        With prototypes and without a schedule the first stage has prototypes too; then it differs from the second one
        only in ``update`` and ``warmup_epochs``.
        """
        early = "none" if self.scheduled else self.prototypes
        if early == "none" and not self.instances:
            return warmup(self, self.warmup_epochs, self.first_update)
        later = SoftPrototypeConfig.__annotations__ if early == "none" else ("warmup_epochs",)
        first = replace(self.reset(*later), phase="first", prototypes=early, update=self.first_update)
        return Stage("soft_prototype", first, self.warmup_epochs)


@dataclass(frozen=True)
class Shares:
    """Loss shares of an epoch.

    They are the weights of instance discrimination [w_I], of the contrast [w_C], and of the prototypes within the
    contrast [eta].
    """

    instance: float
    contrast: float
    prototypes: float

    @classmethod
    def at(cls, c: SoftPrototypeConfig, progress: StageProgress) -> Shares:
        """Compute the progressive schedule: from instances to centroids, then to soft prototypes.

        With ``t`` the elapsed fraction of the first and ``s`` that of the second stage::

            w_I = max(floor, lambda_I (1 - t / T_I))    w_C = w_0 + (1 - w_0) min(1, t / T_I)
            eta = eta_max min(1, s / R_S)
        """
        first = c.phase == "first"
        risen = (0.0 if first else min(1.0, progress.fraction / c.prototype_ramp)) if c.scheduled else 1.0
        weights = c.instance_weights(progress.fraction if first else 1.0)
        return cls(*weights, c.prototype_weight * risen if c.prototypes != "none" else 0.0)


@METHODS.register("soft_prototype")
class SoftPrototype(ClusterContrast):
    r"""SPCL-ID: instance discrimination first, then contrast with weighted prototypes near the centroid of a cluster.

    First stage: :math:`L = w_I L_{ID} + w_C L_C`. Second stage: :math:`L = (1 - \eta) L_C + \eta L_{SP}` in each
    modality, plus 0.25 times the same with the matched clusters of the other modality. :math:`L_C` is cluster contrast.
    :math:`L_{ID}` is instance discrimination of all images, outliers included
    (:func:`usvi_bench.components.memory.instance_discrimination.instance_loss`). :math:`L_{SP}`
    is the contrast with soft prototypes (:func:`usvi_bench.components.memory.soft_prototypes.per_rank_loss`).

    **Known publicly** (abstract): soft prototypes are highly similar nearest neighbours. A weight measures the
    relevance of each to the current centroid. Instance discrimination finds similarity bottom-up, from single images.
    Training proceeds from instances to classes. The abstract of a related paper (SWPCL, Zhao et al., Infrared
    Technology 47(5), 628-634, 2025) adds that these are neighbours of a centroid, that the weighted prototypes enter
    the contrast, and that the emphasis shifts to them gradually.

    **Our reconstruction:** every formula and constant. Stages and cluster contrast follow PCLHD (shijiangming1/PCLHD
    @c1f7b24), matching and alternation PGM (zesenwu23/USL-VI-ReID @ed4a7df), soft weights SNCLR (ChongjianGE/SNCLR
    @b95c7e5). Instance discrimination has a bank for each modality as in NPID and UCDIR (conghuihu/UCDIR @ad7fa42), and
    leaves out negatives of the same cluster as in ICE (chenhao2345/ICE @a206eb9). Ours alone are: at most half of a
    cluster as prototypes, the contrast by rank, the extra images for instance discrimination, the numbers of the
    schedule, the mean of all students as the teacher in its first steps, and its batch statistics.

    **Where:** soft prototypes are ``select_prototypes`` and ``class_contrast``; instance discrimination ``ImageBank``;
    the course from instances to classes ``Shares``. No equation has a number, for none of the paper is public.
    """

    Config = SoftPrototypeConfig
    headline = "teacher"
    summary = "soft prototypes, instance discrimination, instances before classes (2026; our reconstruction)"

    def __init__(self, config: SoftPrototypeConfig, encoder: TwoStreamEncoder) -> None:
        super().__init__(config, encoder)
        self.crosses = config.phase == "second" and config.cross_weight > 0
        if config.phase == "second":
            self.teacher = make_teacher(encoder)

    @classmethod
    def stages(cls, config: SoftPrototypeConfig) -> tuple[Stage, ...]:
        if config.phase != "second":
            raise UsageError(f"method.phase={config.phase} is chosen by the method: leave it out")
        return config.first_stage, Stage("soft_prototype", config)

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        student = super().models()
        return student if self.config.phase == "first" else {"teacher": self.teacher, **student}

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        labels = super().label(features, progress)
        return matched(features, labels) if self.crosses else labels

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        super().begin_epoch(features, labels, progress)
        self.memories = by_modality((self.visible_memory, self.infrared_memory))
        self.shares = Shares.at(self.config, progress)
        if self.crosses:
            self.partners = by_modality(labels["partners"])
        images = clustered(features, labels).items()
        self.banks = module_dict({m: ImageBank(*part, self.config) for m, part in images})
        chosen_in = MODALITIES if self.shares.prototypes else ()
        self.chosen = {modality: self.select_prototypes(modality, progress) for modality in chosen_in}
        self.figures = [self.prototypes(modality).figures(self.memories[modality].rows) for modality in chosen_in]

    def select_prototypes(self, modality: Modality, progress: StageProgress) -> PrototypeIndex:
        """Select the images that are the prototypes of a modality's clusters in this epoch.

        Those of cluster ``c`` are its ``K_c = max(1, min(K, round(phi |c|)))`` images most similar to the centroid.
        """
        c, bank, rows = self.config, self.banks[modality], self.memories[modality].rows
        if c.prototypes == "random":
            generator = torch.Generator().manual_seed(progress.seed_for("prototypes", modality))
            return random_prototypes(bank.labels, c.slots, generator)
        return nearest_prototypes(rows, bank.rows, bank.labels, c.slots, c.share, c.scope, c.floor)

    def prototypes(self, modality: Modality) -> SoftPrototypes:
        """Look up the chosen images in the current bank and weight them by the current centroids."""
        temperature = self.config.weight_temperature if self.config.soft_weights else None
        return self.chosen[modality].weighted(self.memories[modality].rows, self.banks[modality].rows, temperature)

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        extra = self.config.instance_extra if self.shares.instance else 0
        optimise(self.loss(next_batch(extra=extra), progress, extra))
        self.end_step(progress)

    def loss(self, batch: Batch, progress: StageProgress, extra: int = 0) -> Losses:
        """Return the named losses of a batch; its last ``extra`` images are for instance discrimination only."""
        parts = zip(MODALITIES, (batch.visible, batch.infrared), self.embed_batch(batch), strict=True)
        self.drawn: dict[Modality, InstanceBatch] = {
            m: InstanceBatch.of(samples, rows, extra) for m, samples, rows in parts
        }
        self.weighted = {modality: self.prototypes(modality) for modality in self.chosen}
        losses: Losses = {}
        for modality, drawn in self.drawn.items():
            terms = self.class_contrast(modality, drawn.features, drawn.labels, self.shares.contrast)
            losses |= {f"{modality}{name}": term for name, term in terms.items()}
            if self.shares.instance:
                losses[f"{modality}_instances"] = self.shares.instance * self.banks[modality].loss(drawn)
                if progress.step == 0:
                    self.figures.append({"hardest_negatives": self.banks[modality].hardest_share(drawn)})
        if self.crosses:
            terms = self.class_contrast(*self.cross_samples(progress), self.config.cross_weight)
            losses |= {f"cross{name}": term for name, term in terms.items()}
        return losses

    def class_contrast(self, memory: Modality, features: Tensor, labels: Tensor, weight: float) -> Losses:
        """Contrast with the centroids and the soft prototypes of a modality: ``w ((1 - eta) L_C + eta L_SP)``.

        ``L_C = -mean_q log softmax_c(q.M_c / tau)[y]`` and, by default,
        ``L_SP = -mean_q sum_k W_yk log softmax_c(q.P_ck / tau)[y]``
        (:func:`usvi_bench.components.memory.soft_prototypes.per_rank_loss`).
        """
        share = self.shares.prototypes
        losses = {"": weight * (1 - share) * self.memories[memory].loss(features, labels)}
        if share:
            loss = LOSSES["hardest" if self.config.prototypes == "random" else self.config.prototype_loss]
            term = loss(unit(features), self.weighted[memory], labels, self.config.temperature)
            losses["_prototypes"] = weight * share * term
        return losses

    def cross_samples(self, progress: StageProgress) -> tuple[Modality, Tensor, Tensor]:
        """Select the samples of the alternate cross contrast of PGM.

        Returns:
            Modality of the memory, features of the other modality's samples, and their rows in the memory.
        """
        source, target = cross_direction(progress.epoch)
        drawn = self.drawn[source]
        return target, drawn.features, self.partners[source][drawn.labels]

    @torch.no_grad()
    def end_step(self, progress: StageProgress) -> None:
        c = self.config
        if self.crosses and c.cross_updates:
            target, features, labels = self.cross_samples(progress)
            self.memories[target].update(features, labels)
        update_together([(self.memories[m], drawn.features, drawn.labels) for m, drawn in self.drawn.items()])
        if self.shares.instance or self.shares.prototypes:
            update_banks([(self.banks[m], drawn) for m, drawn in self.drawn.items()])
        if c.phase == "second":
            ema_step(self.teacher, self.encoder, c.ema_window, progress)
            copy_batch_norm_statistics(self.teacher, self.encoder)

    def diagnostics(self) -> Mapping[str, Tensor]:
        names = dict.fromkeys(name for figures in self.figures for name in figures)
        return {name: torch.stack([f[name] for f in self.figures if name in f]).mean() for name in names}
