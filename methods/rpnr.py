"""RPNR: calibrated labels, clusters matched by optimal transport, a hybrid memory, and relations of neighbours.

"Robust Pseudo-label Learning with Neighbor Relation for Unsupervised Visible-Infrared Person Re-Identification",
Yin X., Shi J., Zhang Y. et al., ACM MM 2024, https://arxiv.org/abs/2405.05613.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from usvi_bench.components.association import ASSOCIATIONS, match, paired
from usvi_bench.components.clustering.dbscan import cluster_means
from usvi_bench.components.clustering.label_calibration import calibrate_labels, with_emptied
from usvi_bench.components.clustering.labelling import centroids_of, cluster_each_modality
from usvi_bench.components.crossing import cross_direction
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hybrid import blend_means
from usvi_bench.components.modalities import by_modality, view_labels
from usvi_bench.components.relation_loss import Space, relation_losses
from usvi_bench.components.unit import detached
from usvi_bench.core.bounds import COUNT, TINY, WEIGHT, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import MODALITIES, OUTLIER, Batch, Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.hard_prototypes import HardPrototypes, HardPrototypesConfig


@dataclass(frozen=True)
class RPNRConfig(HardPrototypesConfig):
    """Hyper-parameters of RPNR, beside those of PGM and of hard prototypes; defaults are released values."""

    calibrate: bool = True
    """Calibrate the labels of each modality (NPC)."""
    calibrate_members: int = bounded(20, 1, COUNT)
    """Largest number of images in a prototype of the calibration [q]; 5 on RegDB."""
    calibrate_threshold: float = bounded(0.5, -1, 1)
    """Cosine above which two images of a cluster are near each other in the calibration."""
    centroids_from: Literal["raw", "calibrated"] = "raw"
    """Labels that memories and matching are made from: those before the calibration, as released, or after it. A
    cluster that has lost all its images keeps its raw centroid."""
    association: Literal["sinkhorn", "hungarian", "nn", "mutual"] = "sinkhorn"
    """How clusters are matched: by transport (OTPM), in rounds as in PGM (``progressive``), with the most similar
    cluster, or with the most similar one if both choose each other."""
    hybrid_weight: float = bounded(0.5, 0, WEIGHT)
    """Weight of the contrast with the hybrid memory (MHL). 0: there is no such memory."""
    hybrid_dir: Literal["alternate", "both"] = "alternate"
    """``alternate``: visible samples are contrasted with the hybrid memory in even epochs, infrared samples in odd
    epochs. ``both``: both in every epoch, each with half the weight."""
    hybrid_updates: bool = True
    """Update the hybrid memory by the samples that were contrasted with it."""
    neighbour_weight: float = bounded(10.0, 0, WEIGHT)
    """Weight of the relation loss (NRL)."""
    neighbour_space: Space = "unit"
    """Features whose distances weigh the relations: ``unit``, or ``raw`` as in the release, where no weight differs
    from 0."""
    neighbour_sigma: float = bounded(1.0, TINY, 1000)
    """Width of the weights of relations [sigma]."""
    neighbour_delta: float = bounded(1.0, 0, 1000)
    """Scaled distance from which features are not pushed apart [delta]."""


@METHODS.register("rpnr")
class RPNR(HardPrototypes):
    """RPNR: images move to the cluster whose dense core is nearest, and three memories are contrasted.

    The loss is :math:`C_v + C_r + 0.25 C_x + 0.5 C_h + 10 (R_v + R_r)`, with v and r for visible and infrared. C is the
    contrast with centroids and hard prototypes (:meth:`usvi_bench.components.memory.hard.HardMemory.loss`),
    :math:`C_x` the cross term of PGM, :math:`C_h` the contrast of one modality with the hybrid memory, and R the
    relation loss (:func:`usvi_bench.components.relation_loss.relation_loss`).

    **Differs from** the paper in nothing that we could check, and from the released code (XiangboYin/RPNR @6647f21) as
    follows. Weights of relations are computed from unit features; there they are from features of any length, so that
    all are 0 and nothing is pulled together. Gradients use the memories as they were before the step. Every row of the
    hybrid memory is a blend; there, rows of infrared clusters that the calibration has emptied are 0. Of equally dense
    images, those that are more similar to their cluster make the prototype; there, the first ones do, in the order of
    file names, which begin with the identity. ``form=released`` has these four defects. Its ties go by the order of
    rows, which the suite permutes at random. The last epoch is kept instead of the one with the best test score.

    **Known publicly:** paper and code; of the paper we had the abstract and the framework figure. The code has no first
    stage for SYSU-MM01. Here, the first stage is the one that all methods share; ``stage1_memory=hybrid`` has hard
    prototypes, as the code has for RegDB.

    **Our choices:** the order of equally dense images; half the weight for each modality with ``hybrid_dir=both``.

    **Where:** NPC is ``calibrated``; OTPM ``associate``; MHL ``hybrid_rows`` and ``hybrid``; NRL ``relation``.
    Equations are those of the code; the paper's numbers are not known to us.
    """

    Config = RPNRConfig
    summary = "calibrated labels, optimal transport, hybrid memory, relation loss, on top of PGM (ACM MM 2024)"
    parts_off: ClassVar[Mapping[str, Any]] = {"calibrate": False, "hybrid_weight": 0.0, "neighbour_weight": 0.0}

    hybrid_memory: ClusterMemory

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        raw = cluster_each_modality(features, self.config.clustering)
        own = self.calibrated(features, raw) if self.config.calibrate else raw
        labels = replace(own, extra={"raw": (raw.visible, raw.infrared)})
        return paired(labels, self.associate(*centroids_of(*self.basis(features, labels))))

    def calibrated(self, features: Features, raw: PseudoLabels) -> PseudoLabels:
        """Calibrate labels by NPC (noisy pseudo-label calibration) in each modality; outliers stay outliers.

        ``P_k = mean of the q images of cluster k with the largest rho_i = sum_j sign(cos(f_i, f_j) - 0.5)`` and
        ``y_i = argmax_k cos(f_i, P_k)``, see
        :func:`usvi_bench.components.clustering.label_calibration.calibrate_labels`.
        """
        how = self.config.calibrate_members, self.config.calibrate_threshold
        return PseudoLabels(
            calibrate_labels(features.visible, raw.visible, *how),
            calibrate_labels(features.infrared, raw.infrared, *how),
        )

    def basis(self, features: Features, labels: PseudoLabels) -> tuple[Features, PseudoLabels]:
        """Return the features and labels that memories and matching are made from; every raw cluster has an image."""
        raw_visible, raw_infrared = labels["raw"]
        if self.config.centroids_from == "raw":
            return features, replace(labels, visible=raw_visible, infrared=raw_infrared)
        visible, own_visible = with_emptied(features.visible, labels.visible, raw_visible)
        infrared, own_infrared = with_emptied(features.infrared, labels.infrared, raw_infrared)
        whole = replace(features, visible=visible, infrared=infrared)
        return whole, replace(labels, visible=own_visible, infrared=own_infrared)

    def associate(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
        """Match unit centroids by OTPM (optimal transport prototype matching), or as ``association`` requires.

        ``T = argmin sum_ab T_ab exp(-v_a.r_b) - 5 H(T)`` has rows and columns of equal sums. The partner of a visible
        cluster is the largest entry of its row, that of an infrared cluster the largest entry of its column
        (:func:`usvi_bench.components.association.sinkhorn_match`).
        """
        if self.config.association == "hungarian":
            return match(visible, infrared, self.config.progressive)
        return ASSOCIATIONS[self.config.association](visible, infrared)

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        images, basis = self.basis(features, labels)
        super().begin_epoch(images, basis, progress)
        if self.config.hybrid_weight:
            self.hybrid_memory = self.memory_of(self.hybrid_rows(images, basis, labels))
        new, raw = torch.cat(labels["clusters"]), torch.cat(labels["raw"])
        self.figures = {"relabelled": (new != raw).sum() / (raw != OUTLIER).sum()}
        for modality, part in by_modality(labels["clusters"]).items():
            lost = len(self.memories[modality].rows) - len(part[part != OUTLIER].unique())
            self.figures[f"emptied_{modality}"] = torch.tensor(lost)

    def hybrid_rows(self, images: Features, basis: PseudoLabels, labels: PseudoLabels) -> Tensor:
        """Build the rows of MHL (memory hybrid learning): ``h_k = unit((r_k + v_p(k)) / 2)`` for infrared clusters k.

        r and v are means that are not normalised, p(k) is the visible partner
        (:func:`usvi_bench.components.memory.hybrid.blend_means`).

        Args:
            images: features that the means are made from.
            basis: labels that the means are made from.
            labels: labels that batches are drawn by.
        """
        visible = cluster_means(images.visible, basis.visible)
        infrared = cluster_means(images.infrared, basis.infrared)
        return blend_means(visible, infrared, labels["partners"][1])

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Return ``L = l_v + l_r + 0.25 l_x + 0.5 l_h + 10 (R_v + R_r)``."""
        both = self.embed_batch(batch)
        features, labels = by_modality(both), view_labels(batch)
        losses = self.contrast(*both, batch) | self.cross(features, labels, progress)
        losses |= self.hybrid(features, labels, progress)
        return losses | (self.relation(both, self.config.neighbour_space) if self.config.neighbour_weight else {})

    def hybrid(
        self, features: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress
    ) -> Losses:
        """Contrast one modality with the hybrid memory by MHL (memory hybrid learning): ``l_h = l(M^h; f, t)``.

        l is the loss of a memory with hard prototypes. t is the infrared partner of a visible sample's cluster, or the
        cluster of an infrared sample.
        """
        c, losses = self.config, Losses()
        self.blended: list[tuple[Tensor, Tensor]] = []
        sources = MODALITIES if c.hybrid_dir == "both" else cross_direction(progress.epoch)[:1]
        for source in sources if c.hybrid_weight else ():
            rows = self.partners[source][labels[source]] if source == "visible" else labels[source]
            term = self.hybrid_memory.loss(features[source], rows, self.unmatched)
            losses[f"hybrid_{source}"] = c.hybrid_weight / len(sources) * term
            self.blended.append((detached(features[source]), rows))
        return losses

    def relation(self, features: tuple[Tensor, Tensor], space: Space) -> Losses:
        """Relate the features of each modality by NRL (neighbour relation learning), weighted by unit features.

        ``R = mean over i != j of w_ij s_ij^2 + (1 - w_ij) max(1 - s_ij, 0)^2``, ``w_ij = exp(-|g_i - g_j|^2)``, with s
        the distances of features divided by the mean of their row, and g unit features without gradient
        (:func:`usvi_bench.components.relation_loss.relation_loss`).
        """
        c = self.config
        terms = by_modality(relation_losses(features, space, c.neighbour_sigma, c.neighbour_delta))
        return {f"neighbour_{modality}": c.neighbour_weight * term for modality, term in terms.items()}

    def updates(self) -> list[tuple[ClusterMemory, Tensor, Tensor]]:
        """Return the updates of the hybrid memory, then those of the others as in PGM."""
        blended = self.blended if self.config.hybrid_updates else ()
        return [(self.hybrid_memory, *samples) for samples in blended] + super().updates()

    def diagnostics(self) -> Mapping[str, Tensor]:
        """Return figures of the calibration, and the mean cosine of hybrid rows and infrared rows."""
        figures = {**super().diagnostics(), **self.figures}
        if self.config.hybrid_weight:
            figures["hybrid_to_infrared"] = (self.hybrid_memory.rows * self.infrared_memory.rows).sum(dim=1).mean()
        return figures
