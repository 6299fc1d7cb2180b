"""N-ULC as tengxiao14/Neighbor-guided-USL-VI-ReID @af4b43c computes it."""

from __future__ import annotations

from torch import Tensor

from usvi_bench.core.types import Losses, Modality, StageProgress
from usvi_bench.methods.nulc import NULC
from usvi_bench.methods.released.pgm import logits_by_moved_rows


class ReleasedNULC(NULC):
    """N-ULC with one defect of the released code: a gradient is computed with a memory that is already updated.

    Values of the losses are those of the repaired form. Not imitated: the NaN loss of an image whose neighbours in the
    other modality are all outliers, cluster counts that stop a training, and checkpoints chosen by test score.
    """

    def cross(
        self, features: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress
    ) -> Losses:
        """Defect: the cross term has updated a memory when the gradient of the memory's own modality is computed.

        Memories are updated inside ``backward``, which begins with the cross term.
        """
        losses = super().cross(features, labels, progress)
        for target in self.crossed:
            logits = logits_by_moved_rows(self, target, features[target])
            losses[target] = self.term(target, target, logits, labels[target])
        return losses
