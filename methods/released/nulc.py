"""N-ULC as tengxiao14/Neighbor-guided-USL-VI-ReID @af4b43c computes it."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from usvi_bench.core.types import Losses, Modality, StageProgress
from usvi_bench.methods.nulc import NULC
from usvi_bench.methods.released.hil import similarity_by_moved_rows


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
        for target, crossed in self.crossed.items():
            memory, later = self.memories[target], deepcopy(self.memories[target])
            later.update(*crossed, self.unmatched)
            with torch.autocast(features[target].device.type, enabled=False):
                similarity = similarity_by_moved_rows(features[target].float(), memory.rows, later.rows)
            losses[target] = self.term(target, target, similarity / memory.temperature, labels[target])
        return losses
