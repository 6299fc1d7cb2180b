"""N-ULC: soft labels and weights of images from the clusters of their neighbours, on top of PGM.

"Relieving Universal Label Noise for Unsupervised Visible-Infrared Person Re-Identification by Inferring from
Neighbors", Teng X., Lan L., Chen D., Xu K., Yin N., AAAI 2025, pages 7356-7364, https://arxiv.org/abs/2412.12220.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from usvi_bench.components.clustering.most_similar import most_similar
from usvi_bench.components.memory.cluster import cross_entropy
from usvi_bench.components.memory.rules import Update
from usvi_bench.components.modalities import by_modality, clustered, view_labels
from usvi_bench.components.neighbour_labels import Calibration, SoftLabel, soft_labels
from usvi_bench.components.unit import detached
from usvi_bench.core.bounds import COUNT, WEIGHT, bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import MODALITIES, OUTLIER, Batch, Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.base import Stage
from usvi_bench.methods.cluster_contrast import warmup
from usvi_bench.methods.pgm import PGM, PGMConfig


@dataclass(frozen=True)
class NULCConfig(PGMConfig):
    """Hyper-parameters of N-ULC, beside those of PGM; defaults are those of the released commands for SYSU-MM01."""

    update: Update = "sequential"
    """Update rule of the memories in the second stage."""
    cross_weight: float = bounded(3.0, 0, WEIGHT)
    """Weight of the contrast with the other modality's memory [lambda]; 0.25 in PGM."""
    homogeneous: bool = True
    """Soften the targets in the own memory by the clusters of neighbours in the own modality."""
    heterogeneous: bool = True
    """Soften the targets in the other memory by the clusters of neighbours in the other modality."""
    weighting: bool = True
    """Weight the samples by the reliability of their labels (N-DW)."""
    weigh_on: Literal["both", "own", "cross"] = "both"
    """Terms whose samples are weighted: both, those with the own memory, or those with the other memory."""
    neighbours: int = bounded(30, 1, COUNT)
    """Number of most similar images whose clusters are counted [K]; at most the images of a modality."""
    soft_label: SoftLabel = "overlap"
    """Soft label of an image: ``overlap`` of its neighbours and each cluster, or ``vote`` of its neighbours."""
    balance: float = bounded(0.7, 0, 1)
    """Weight of the hard label in a target [beta]."""
    sharpness: float = bounded(10.0, 0, WEIGHT)
    """Decay of the weight of a sample with the missing share of its label in its soft label [gamma]."""
    normalise_weights: bool = False
    """Divide a loss by the sum of the weights instead of by the number of samples."""


@METHODS.register("nulc")
class NULC(PGM):
    """N-ULC: labels are softened, and samples are weighted, by the clusters of an image's nearest neighbours.

    Once an epoch, the neighbours of every image are counted by cluster, in its own modality for the contrast with the
    own memory, and in the other modality for the cross contrast of PGM. The count gives a soft label, and the share of
    the hard label in it gives the weight of the image.

    **Differs from** the released code (tengxiao14/Neighbor-guided-USL-VI-ReID @af4b43c) as follows. All gradients use
    the memories as they were before the step; there the cross term updates a memory before the gradient of the memory's
    own modality is computed (``form=released``). Clusters are matched for any cluster counts; there training on
    SYSU-MM01 stops unless there are more visible than infrared clusters. An image whose neighbours in the other
    modality are all outliers takes no part in the cross contrast; there its loss is NaN. The last epoch is kept instead
    of the one with the best test score. Features are normalised before clustering, as they are there for neighbours.
    The first stage and the batches are the shared ones; the setting ``paper`` has the released choices, except that its
    jitter also changes infrared images.

    As in that code, a loss is divided by the number of samples, and weights and soft labels have no part in memory
    updates. The weight of the cross term is 12 times PGM's.

    **Known publicly:** abstract, code and its commands. **Our reconstruction:** nothing in the formulas. The text of
    the paper, and the rows of its ablation, are not known to us.

    **Where:** N-ULC and N-DW are ``calibrate``; the losses ``term``. Equations are those of the code.
    """

    Config = NULCConfig
    summary = "labels softened and weighted by clusters of neighbours, on top of PGM (AAAI 2025)"

    @classmethod
    def stages(cls, config: Any) -> tuple[Stage, ...]:
        return warmup(config), Stage("nulc", config)

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        c = self.config
        super().begin_epoch(features, labels, progress)
        images = clustered(features.normalised(), labels)
        self.calibrations: dict[tuple[Modality, Modality], Calibration] = {}
        if c.homogeneous or (c.weighting and c.weigh_on != "cross"):
            for modality in MODALITIES:
                self.calibrations[modality, modality] = self.calibrate(modality, modality, images)
        if c.heterogeneous or (c.weighting and c.weigh_on != "own"):
            for source, target in self.crossings(progress.epoch):
                self.calibrations[source, target] = self.calibrate(source, target, images)

    def calibrate(
        self, source: Modality, target: Modality, images: dict[Modality, tuple[Tensor, Tensor]]
    ) -> Calibration:
        """Soften and weight labels by N-ULC (neighbor-guided universal label calibration) and N-DW (dynamic weighting).

        Of the K images of the target modality that are most similar to image i, n_ik are in cluster k, and
        ``S_ik = a_ik / sum_l a_il`` with ``a_ik = n_ik / (K - n_ik + |C_k|)``. In the own modality y is the cluster of
        the image, in the other one the partner of that cluster::

            t_i = beta onehot(y_i) + (1 - beta) S_i    w_i = exp(-gamma (1 - S_iy)^2)

        Args:
            source: modality of the images whose labels are calibrated.
            target: modality of the memory and of the neighbours.
            images: unit features and clusters of all images of each modality.
        """
        c, own = self.config, source == target
        (queries, labels), (keys, clusters) = images[source], images[target]
        if c.neighbours > len(keys):
            raise UsageError(
                f"{target}: {len(keys)} images are fewer than neighbours={c.neighbours}; lower --set method.neighbours "
                "or give more images"
            )
        soft, known = soft_labels(
            most_similar(queries, keys, c.neighbours)[1], clusters, len(self.memories[target].rows), c.soft_label
        )
        if not own:
            labels = self.partners[source][labels.clamp(min=0)].where(labels != OUTLIER, OUTLIER)
        softened = c.homogeneous if own else c.heterogeneous
        weighted = c.weighting and c.weigh_on in ("both", "own" if own else "cross")
        return Calibration.of(soft, known, labels, 1 - c.balance if softened else 0, c.sharpness if weighted else None)

    def contrast(self, visible: Tensor, infrared: Tensor, batch: Batch) -> Losses:
        """Contrast each modality with its own memory by calibrated labels; see :meth:`term`."""
        features, labels = by_modality((visible, infrared)), view_labels(batch)
        self.index = by_modality(part.index.repeat(len(part.views)) for part in (batch.visible, batch.infrared))
        self.pending_updates = (detached(visible), labels["visible"]), (detached(infrared), labels["infrared"])
        return {m: self.term(m, m, self.memories[m].logits(features[m]), labels[m]) for m in MODALITIES}

    def cross_term(self, source: Modality, target: Modality, features: Tensor, rows: Tensor) -> Tensor:
        return self.term(source, target, self.memories[target].logits(features), rows)

    def term(self, source: Modality, target: Modality, logits: Tensor, rows: Tensor) -> Tensor:
        """Contrast samples with a memory M: ``1/B sum_i w_i (-sum_k t_ik log softmax_k(q_i.M_k / tau))``.

        Args:
            source: modality of the samples.
            target: modality of the memory.
            logits: ``[B, C]`` similarities to the rows of the memory, divided by the temperature.
            rows: ``[B]`` hard labels, or -1. The target and the weight of an image are those of its calibration.
        """
        unmatched = self.unmatched and source != target
        if (source, target) not in self.calibrations:
            return cross_entropy(logits, rows, unmatched)
        if self.config.normalise_weights:
            samples = None
        else:
            samples = (rows != OUTLIER).sum().clamp(min=1) if unmatched else len(rows)
        return self.calibrations[source, target].loss(logits, self.index[source], samples)

    def diagnostics(self) -> Mapping[str, Tensor]:
        figures: dict[str, list[Tensor]] = {}
        for (source, target), calibration in self.calibrations.items():
            for name, value in calibration.figures.items():
                figures.setdefault(f"{'own' if source == target else 'cross'}_{name}", []).append(value)
        return {**super().diagnostics(), **{name: torch.stack(values).mean() for name, values in figures.items()}}
