"""PGM as zesenwu23/USL-VI-ReID @ed4a7df computes it."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from usvi_bench.core.types import Losses, Modality, StageProgress
from usvi_bench.methods.pgm import PGM
from usvi_bench.methods.released.hil import similarity_by_moved_rows


class ReleasedPGM(PGM):
    """PGM with one defect of the released code: gradients are computed with a memory that is already updated.

    Values of the losses are those of the repaired form. The first stage has no such defect, because a memory is used
    once in a step there. Not imitated: the limit of two matching rounds, the cross term that is left out on SYSU-MM01
    if there are more infrared clusters, and checkpoints chosen by test score.
    """

    def cross(
        self, features: dict[Modality, Tensor], labels: dict[Modality, Tensor], progress: StageProgress
    ) -> Losses:
        """Defect: the cross term has updated a memory when the gradient of the memory's own modality is computed.

        Memories are updated inside ``backward``, which begins with the cross term.
        """
        losses = super().cross(features, labels, progress)
        for target, crossed in self.crossed.items():
            memory = self.memories[target]
            later = deepcopy(memory)
            later.update(*crossed, self.unmatched)
            with torch.autocast(features[target].device.type, enabled=False):
                similarity = similarity_by_moved_rows(features[target].float(), memory.rows, later.rows)
                losses[target] = cross_entropy(similarity / memory.temperature, labels[target])
        return losses
