"""PGM: progressive graph matching of visible and infrared clusters, and alternate cross contrastive learning.

"Unsupervised Visible-Infrared Person Re-Identification via Progressive Graph Matching and Alternate Learning",
Wu Z., Ye M., CVPR 2023, pages 9548-9558 (https://github.com/zesenwu23/USL-VI-ReID).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from usvi_bench.components.association import UNMATCHED
from usvi_bench.components.crossing import any_unmatched, cross_direction, matched
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.rules import Update
from usvi_bench.components.modalities import by_modality, view_labels
from usvi_bench.components.unit import detached
from usvi_bench.core.bounds import WEIGHT, bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import MODALITIES, Batch, Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.base import Form, Stage
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup


@dataclass(frozen=True)
class PGMConfig(ClusterContrastConfig):
    """Hyper-parameters of PGM, beside those of its first stage."""

    update: Update = "hard"
    """Update rule of the memories in the second stage: hard on SYSU-MM01, sequential on RegDB."""
    cross_weight: float = bounded(0.25, 0, WEIGHT)
    """Weight of the contrast with the other modality's memory. 0 continues the first stage."""
    crossing: Literal["alternate", "both"] = "alternate"
    """``alternate``: visible samples are contrasted with the infrared memory in even epochs, infrared samples with the
    visible memory in odd epochs. ``both``: both directions in every epoch."""
    progressive: bool = True
    """Match until every cluster has a partner. False: clusters without a partner after the one-to-one round take no
    part in the cross contrast."""
    cross_updates: bool = True
    """Update a memory also with the samples of the other modality that were contrasted with it."""
    form: Form = "repaired"
    """``released`` has the order of updates of the released code, see :mod:`usvi_bench.methods.released.pgm`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form == "released" and not self.cross_updates:
            raise UsageError("method.form=released needs method.cross_updates=true")


@METHODS.register("pgm")
class PGM(ClusterContrast):
    """PGM: clusters are matched at the least total cost, round after round, until all clusters have a partner.

    In addition to the contrast of the first stage, samples of one modality are contrasted with the rows of their
    clusters' partners in the other modality's memory. The direction alternates from epoch to epoch.

    **Differs from** the paper in nothing known to us, and from the released code (zesenwu23/USL-VI-ReID @ed4a7df) as
    follows. The number of matching rounds is not limited. There it is two, so that training stops if one modality
    has more than twice the clusters of the other; on SYSU-MM01 the cross contrast is left out if there are more
    infrared clusters. All gradients use the memories as they were before the step; there the cross term updates a
    memory before the other gradients are computed, which ``form=released`` restores. The second stage starts from the
    last epoch of the first one instead of the epoch with the best test score. Features are normalised before
    clustering; the setting ``paper`` has the released choice, and the released momentum, network and jitter.

    Memories are updated after the optimiser step, in the order of the released code: first one memory by the samples of
    the other modality, then the visible memory and the infrared memory by their own samples. Under ``update=hard`` the
    own samples are therefore compared with rows that have already been updated.

    **Known publicly:** paper and code. **Our reconstruction:** nothing.

    **Where:** progressive graph matching is ``label``; alternate learning ``cross`` and ``crossings``.
    """

    Config = PGMConfig
    summary = "progressive graph matching, alternate cross contrast (CVPR 2023)"

    @classmethod
    def stages(cls, config: PGMConfig) -> tuple[Stage, ...]:
        return warmup(config), Stage("pgm", config)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Match the unit centroids ``a`` of visible and ``b`` of infrared clusters by progressive graph matching.

        Round by round ``min over assignments X of sum_ij X_ij exp(-a_i.b_j)``, until every cluster has a partner
        (:func:`usvi_bench.components.association.match`).
        """
        return matched(features, super().label(features, progress), self.config.progressive)

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        super().begin_epoch(features, labels, progress)
        self.memories = by_modality((self.visible_memory, self.infrared_memory))
        self.partners = by_modality(labels["partners"])
        self.unmatched = any_unmatched(labels)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Return the contrast within and across modalities: ``L = C_v + C_r + 0.25 C_x``."""
        features = self.embed_batch(batch)
        return self.contrast(*features, batch) | self.cross(by_modality(features), view_labels(batch), progress)

    def cross(
        self, features: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress
    ) -> Losses:
        """Contrast samples with the other modality's memory: C_x = -mean_i log softmax(M' f_i / tau)[partner(y_i)].

        M' is the memory of the other modality (zesenwu23/USL-VI-ReID @ed4a7df).

        Args:
            features: features of both modalities.
            labels: clusters of the features.
            progress: current epoch, which decides on the direction.
        """
        losses: Losses = {}
        self.crossed: dict[Modality, tuple[Tensor, Tensor]] = {}
        for source, target in self.crossings(progress.epoch):
            rows = self.partners[source][labels[source]]
            losses[f"cross_{source}"] = self.config.cross_weight * self.cross_term(
                source, target, features[source], rows
            )
            self.crossed[target] = detached(features[source]), rows
        return losses

    def cross_term(self, source: Modality, target: Modality, features: Tensor, rows: Tensor) -> Tensor:
        """Contrast features of the source with the rows of their partners in the memory of the target."""
        return self.memories[target].loss(features, rows, self.unmatched)

    def crossings(self, epoch: int) -> tuple[tuple[Modality, Modality], ...]:
        """Return the (source, target) pairs of an epoch; see :func:`usvi_bench.components.crossing.cross_direction`."""
        if not self.config.cross_weight:
            return ()
        there, back = cross_direction(epoch)
        return ((there, back), (back, there)) if self.config.crossing == "both" else ((there, back),)

    def updates(self) -> list[tuple[ClusterMemory, Tensor, Tensor]]:
        crossed = self.crossed.items() if self.config.cross_updates else ()
        return [(self.memories[target], *samples) for target, samples in crossed] + super().updates()

    def diagnostics(self) -> Mapping[str, Tensor]:
        paired = torch.cat([self.partners[modality] != UNMATCHED for modality in MODALITIES])
        return {"matched": paired.float().mean()}
