"""PGM as zesenwu23/USL-VI-ReID @ed4a7df computes it."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from usvi_bench.components.memory.moved_rows import similarity_by_moved_rows
from usvi_bench.core.types import Losses, Modality, StageProgress
from usvi_bench.methods.pgm import PGM


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
        for target in self.crossed:
            losses[target] = cross_entropy(logits_by_moved_rows(self, target, features[target]), labels[target])
        return losses


def logits_by_moved_rows(method: PGM, target: Modality, features: Tensor) -> Tensor:
    """Compute the logits of features with the gradient of the memory as the cross term updates it."""
    memory, later = method.memories[target], deepcopy(method.memories[target])
    later.update(*method.crossed[target], method.unmatched)
    with torch.autocast(features.device.type, enabled=False):
        return similarity_by_moved_rows(features.float(), memory.rows, later.rows) / memory.temperature
