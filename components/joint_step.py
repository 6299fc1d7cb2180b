"""Joint step: the second optimiser step of an iteration, on clusters of both modalities, as in BMIL, MMM and PCLHD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.memory.cluster import ClusterMemory, update_together
from usvi_bench.components.modalities import view_labels
from usvi_bench.components.unit import detached
from usvi_bench.core.types import Batch, Losses, NextBatch, Optimise


class JointStep:
    """Joint step: base of methods that contrast both modalities with a memory of joint clusters in a step of its own.

    ``begin_epoch`` sets both attributes.

    Attributes:
        joint_memory: memory with a row for every joint cluster, also for those of one modality.
        joint_batches: batches of the clusters with images of both modalities.
    """

    joint_memory: ClusterMemory
    joint_batches: JointBatches

    if TYPE_CHECKING:

        def embed_batch(self, batch: Batch) -> tuple[Tensor, Tensor]: ...

    def take_joint_step(self, next_batch: NextBatch, optimise: Optimise) -> None:
        """Take the step and update the memory, unless fewer clusters hold both modalities than a batch draws."""
        batch = self.joint_batches.next(next_batch)
        if batch is not None:
            optimise(self.joint_loss(batch))
            update_together([(self.joint_memory, *samples) for samples in self.joint_updates])

    def joint_loss(self, batch: Batch) -> Losses:
        """Contrast both modalities with the memory of joint clusters: J_visible + J_infrared."""
        visible, infrared = self.joint_samples(batch)
        return {
            "joint_visible": self.joint_memory.loss(*visible),
            "joint_infrared": self.joint_memory.loss(*infrared),
        }

    def joint_samples(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Return features and joint clusters of the visible and infrared views, and keep them for the update."""
        samples = list(zip(self.embed_batch(batch), view_labels(batch).values(), strict=True))
        self.joint_updates = [(detached(features), labels) for features, labels in samples]
        return samples
