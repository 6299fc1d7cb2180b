"""MMM with the details of shijiangming1/MMM @7e57d50 that fit the losses of the suite."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, pad

from usvi_bench.components.alignment import class_prototypes
from usvi_bench.components.association import UNMATCHED
from usvi_bench.components.memory.moved_rows import similarity_by_moved_rows
from usvi_bench.components.memory.rules import UPDATE_RULES
from usvi_bench.core.types import Batch, Losses, StageProgress
from usvi_bench.methods.mmm import MMM


class ReleasedMMM(MMM):
    """MMM with the released matching, prototypes and gradients.

    The form also has the settings ``usvi_bench.methods.mmm.RELEASED``: nearest partners, costs that sum over infrared
    memories, labels made once, Intra by mean absolute differences, Inter from the start with each visible view. Not
    imitated: what the class docstring of MMM names as left out, and defects that end the training.
    """

    def partners_by(self, cost: Tensor) -> Tensor:
        """Defect: the last cluster of each modality has no partner.

        There the last visible cluster keeps its own number, as if it were that of an infrared cluster. Here its images
        have no class.
        """
        return pad(super().partners_by(cost[:-1, :-1]), (0, 1), value=UNMATCHED)

    def prototypes_of(self, features: Tensor, classes: Tensor, weights: Tensor, progress: StageProgress) -> Tensor:
        """Defect: prototypes are zero in the first epoch, and later weighted sums divided by the number of images."""
        count = len(self.shared_memory.rows)
        if progress.epoch == 0:
            return features.new_zeros(count, features.shape[1])
        return class_prototypes(features, classes, weights, count, by_count=True)

    def joint_loss(self, batch: Batch) -> Losses:
        """Defect: the visible samples have updated the joint memory when the infrared gradient is computed."""
        (visible, of_visible), (infrared, of_infrared) = self.joint_samples(batch)
        c, memory = self.config, self.joint_memory
        with torch.no_grad():
            later = UPDATE_RULES[c.update](memory.rows, normalize(visible), of_visible, c.momentum)
        logits = similarity_by_moved_rows(infrared, memory.rows, later) / c.temperature
        losses = {"joint_visible": memory.loss(visible, of_visible)}
        return self.weighted({**losses, "joint_infrared": cross_entropy(logits, of_infrared)})
