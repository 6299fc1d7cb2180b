"""BMIL as Terminator8758/BMIL @79cc647 computes it."""

from __future__ import annotations

from usvi_bench.components.memory.moved_rows import loss_by_moved_rows
from usvi_bench.core.types import Batch, Losses
from usvi_bench.methods.bmil import BMIL


class ReleasedBMIL(BMIL):
    """BMIL with one defect of the released code: the joint infrared gradient is computed with an updated memory.

    Values of the losses are those of the repaired form. What is no defect but a choice of the release (first stage,
    features as they come, networks, jitter) is in the setting ``paper``. Not imitated: a training that
    stops with fewer than 50 prototypes, clusters of one image that shift all later batches, and checkpoints chosen by
    test score.
    """

    def joint_loss(self, batch: Batch) -> Losses:
        """Defect: the visible samples have updated the joint memory when the infrared gradient is computed."""
        visible, infrared = self.joint_samples(batch)
        late = loss_by_moved_rows(self.joint_memory, *infrared, (*visible, False))
        return self.weighted(self.joint_memory.loss(*visible), late)
