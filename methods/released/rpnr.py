"""RPNR as XiangboYin/RPNR @6647f21 computes it."""

from __future__ import annotations

import torch
from torch import Tensor

from usvi_bench.components.association import sinkhorn_match
from usvi_bench.components.clustering.label_calibration import calibrate_labels
from usvi_bench.components.memory.moved_rows import loss_by_moved_rows
from usvi_bench.components.relation_loss import Space
from usvi_bench.core.types import Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.rpnr import RPNR


class ReleasedRPNR(RPNR):
    """RPNR with four defects of the released code: no attraction, late gradients, empty hybrid rows, ties by position.

    With equal memories and weights, contrasts have the values of the repaired form; some gradients differ. What is no
    defect but a choice of the release (networks, features as they come, number of members) is in the setting ``paper``.
    Not imitated: the order of file names, which the suite does not pass to methods, and checkpoints chosen by test
    score.
    """

    def calibrated(self, features: Features, raw: PseudoLabels) -> PseudoLabels:
        """Defect: of equally dense images, the first ones are chosen."""
        c = self.config
        visible, infrared = (
            calibrate_labels(images, labels, c.calibrate_members, c.calibrate_threshold, ties="position")
            for images, labels in ((features.visible, raw.visible), (features.infrared, raw.infrared))
        )
        return PseudoLabels(visible, infrared)

    def associate(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
        """No defect: end Sinkhorn's iterations at the released tolerance."""
        if self.config.association == "sinkhorn":
            return sinkhorn_match(visible, infrared, tolerance=1e-5)
        return super().associate(visible, infrared)

    def hybrid_rows(self, images: Features, basis: PseudoLabels, labels: PseudoLabels) -> Tensor:
        """Defect: rows of infrared clusters that the calibration has emptied are 0."""
        rows = super().hybrid_rows(images, basis, labels)
        kept = torch.isin(torch.arange(len(rows), device=rows.device), labels.infrared)
        return torch.where(kept[:, None], rows, 0)

    def cross(
        self, features: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress
    ) -> Losses:
        """Defect: the cross term has updated a memory when the gradient of the memory's own modality is computed.

        Memories are updated inside ``backward``, in the order hybrid, cross, visible, infrared.
        """
        losses = super().cross(features, labels, progress)
        for target, (crossed, rows) in self.crossed.items():
            moved_by = crossed, rows, self.unmatched
            losses[target] = loss_by_moved_rows(self.memories[target], features[target], labels[target], moved_by)
        return losses

    def relation(self, features: tuple[Tensor, Tensor], space: Space) -> Losses:
        """Defect: weights are computed from features that are not normalised; no pair is pulled together."""
        return super().relation(features, "raw")
