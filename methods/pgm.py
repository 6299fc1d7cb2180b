"""PGM: clusters of the two modalities are matched as graphs, and each modality learns from the other in turn.

"Unsupervised Visible-Infrared Person Re-Identification via Progressive Graph Matching and Alternate Learning",
Wu Z., Ye M., CVPR 2023, pages 9548-9558 (https://github.com/zesenwu23/USL-VI-ReID).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from usvi_bench.components.association import UNMATCHED
from usvi_bench.components.crossing import cross_direction, matched, select_matched
from usvi_bench.components.memory.cluster import Update
from usvi_bench.components.modalities import by_modality, view_labels
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import MODALITIES, Batch, Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.base import Stage
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup


@dataclass(frozen=True)
class PGMConfig(ClusterContrastConfig):
    """Hyper-parameters of PGM, beside those of its first stage."""

    update: Update = "hard"
    """How a batch moves its clusters' entries in the second stage: hard on SYSU-MM01, sequential on RegDB."""
    cross_weight: float = 0.25
    """Weight of the contrast with the other modality's memory. 0: the first stage goes on."""
    crossing: Literal["alternate", "both"] = "alternate"
    """Alternate cross contrast: visible samples cross over in even epochs, infrared ones in odd; or both in all."""
    progressive: bool = True
    """Match until every cluster has a partner. False: one to one, the rest stays out of the cross contrast."""
    cross_updates: bool = True
    """Samples that cross over also move the memory they are contrasted with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(0, math.inf, "cross_weight")


@METHODS.register("pgm")
class PGM(ClusterContrast):
    """Clusters are matched for the least total cost, round after round until all have a partner.

    Beside the contrast of the first stage, samples of one modality are contrasted with their partners in the memory of
    the other, the modalities taking turns epoch by epoch.

    **Differs from** the paper: nothing known to us. **From** the released code (zesenwu23/USL-VI-ReID @ed4a7df): there
    are as many rounds as it takes (there two, so that training stops where one modality has more than twice the
    clusters of the other, and the cross contrast is left out on SYSU-MM01 where infrared clusters are more); all losses
    use the memories of before the step, which there the cross term has already moved when the other gradients are
    formed; the second stage starts from the last epoch of the first, not from its best by test score. Features are
    normalised before clustering; the release's own choice, its momentum, network and jitter are in the setting
    ``paper``.

    Memories move after the optimiser step, in the order in which they move inside ``backward`` there: first by the
    samples that cross over, then the visible one, then the infrared one by its own samples, which so have the last word
    (and, under ``hard``, are compared with a row that has moved already).

    **Known publicly:** paper and code. **Our reconstruction:** nothing.

    **Where:** progressive graph matching is ``label``; alternate learning ``cross`` and ``crossings``.
    """

    Config = PGMConfig
    summary = "progressive graph matching, alternate cross contrast (CVPR 2023)"

    @classmethod
    def stages(cls, config: PGMConfig) -> tuple[Stage, ...]:
        return warmup(config), Stage("pgm", config)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Progressive graph matching of the unit centroids ``a`` of visible and ``b`` of infrared clusters.

        Round by round ``min over assignments X of sum_ij X_ij exp(-a_i.b_j)``, until every cluster has a partner
        (:func:`usvi_bench.components.association.match`).
        """
        return matched(features, super().label(features, progress), self.config.progressive)

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        super().begin_epoch(features, labels, progress)
        self.memories = by_modality((self.visible_memory, self.infrared_memory))
        self.partners = by_modality(labels["partners"])

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """``L = C_v + C_r + 0.25 C_x``."""
        features = self.embed_batch(batch)
        return self.contrast(*features, batch) | self.cross(by_modality(features), view_labels(batch), progress)

    def cross(
        self, features: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress
    ) -> Losses:
        """Alternate cross contrast: the samples that cross over in this epoch, against their partners' rows.

        ``C_x = -mean_i log softmax_k(q_i.M_k / tau)[p(y_i)]``: ``M`` is the memory of the other modality and ``p(y)``
        the partner of cluster ``y`` in it.
        """
        losses: Losses = {}
        self.crossed: dict[Modality, tuple[Tensor, Tensor]] = {}
        for source, target in self.crossings(progress.epoch):
            crossed, rows = select_matched(features[source], labels[source], self.partners[source])
            term = self.memories[target].loss(crossed, rows) if len(rows) else features[source].sum() * 0
            losses[f"cross_{source}"] = self.config.cross_weight * term
            self.crossed[target] = crossed.detach(), rows
        return losses

    def crossings(self, epoch: int) -> tuple[tuple[Modality, Modality], ...]:
        """The modalities whose samples cross over in an epoch, each with the one whose memory they meet."""
        if not self.config.cross_weight:
            return ()
        there, back = cross_direction(epoch)
        return ((there, back), (back, there)) if self.config.crossing == "both" else ((there, back),)

    def end_step(self, progress: StageProgress) -> None:
        if self.config.cross_updates:
            for target, crossed in self.crossed.items():
                self.memories[target].update(*crossed)
        super().end_step(progress)

    def diagnostics(self) -> Mapping[str, Tensor]:
        paired = torch.cat([self.partners[modality] != UNMATCHED for modality in MODALITIES])
        return {"matched": paired.float().mean()}
