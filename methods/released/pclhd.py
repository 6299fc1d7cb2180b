"""PCLHD as shijiangming1/PCLHD @c1f7b24 computes it."""

from __future__ import annotations

import torch
from torch import Tensor

from usvi_bench.components.memory.moved_rows import loss_by_moved_rows
from usvi_bench.core.types import Batch, Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.pclhd import PCLHD


class ReleasedPCLHD(PCLHD):
    """PCLHD with three defects of the released code: an inert loss, late gradients, a cross term that is left out.

    With equal memories and weights, contrasts with centroids and hard prototypes have the values of the repaired form;
    their gradients differ. What is no defect but a choice of the release (first stage with hard prototypes, features as
    they come, networks) is in the setting ``paper``. Not imitated: partners that later matching rounds overwrite, and
    checkpoints chosen by test score.
    """

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        """No defect: add the figure ``cross_skipped`` to the journal of an epoch without cross term."""
        super().begin_epoch(features, labels, progress)
        if self.config.cross_weight and not self.crossings(progress.epoch):
            self.figures = {**self.figures, "cross_skipped": torch.ones(())}

    def cross(
        self, features: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress
    ) -> Losses:
        """Defect: the cross term has updated a memory when the gradient of the memory's own modality is computed.

        Memories are updated inside ``backward``, which begins with the cross term.
        """
        losses = super().cross(features, labels, progress)
        for target, (crossed, rows) in self.crossed.items():
            moved_by = crossed, rows, self.unmatched
            losses[target] = loss_by_moved_rows(self.memories[target], features[target], labels[target], moved_by)
        return losses

    def joint_loss(self, batch: Batch) -> Losses:
        """Defect: the visible samples have updated the joint memory when the infrared gradient is computed."""
        visible, infrared = self.joint_samples(batch)
        return {
            "joint_visible": self.joint_memory.loss(*visible),
            "joint_infrared": loss_by_moved_rows(self.joint_memory, *infrared, (*visible, False)),
        }

    def dynamic_loss(self, modality: Modality, features: Tensor, labels: Tensor, progress: StageProgress) -> Tensor:
        """Defect: the teacher's features are contrasted, not the student's, so that no weight gets a gradient."""
        return super().dynamic_loss(modality, self.teacher_features[modality], labels, progress)

    def refresh_dynamic(self, progress: StageProgress) -> None:
        """Defect: the dynamic memory is not updated during an epoch, because its ``backward`` is never called."""

    def crossings(self, epoch: int) -> tuple[tuple[Modality, Modality], ...]:
        """Defect: there is no cross term if there are fewer visible than infrared clusters.

        The script for RegDB leaves the term out. The one for SYSU-MM01 crashes, which is not imitated.
        """
        unmatched = len(self.visible_memory.rows) < len(self.infrared_memory.rows)
        return () if unmatched else super().crossings(epoch)
