"""HIL as haonanshi0125/HIL @09c857a computes it, for one feature in place of its deep and shallow one."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.memory.cluster import update_together
from usvi_bench.components.memory.instance import NOMINAL, InstanceMemory
from usvi_bench.components.memory.moved_rows import similarity_by_moved_rows
from usvi_bench.components.memory.rules import UPDATE_RULES
from usvi_bench.components.unit import detached
from usvi_bench.core.types import Batch, Losses, Modality
from usvi_bench.methods.hil import HIL


class LongInstanceMemory(InstanceMemory):
    """Long instance memory: features are mixed in without normalisation, so that long ones weigh more."""

    def __init__(self, features: Tensor, momentum: float | None = None) -> None:
        super().__init__(features, NOMINAL if momentum is None else momentum)
        self.long = momentum is None

    def steps(self, features: Tensor) -> tuple[Tensor, float]:
        made, length = super().steps(features)
        return (features.float() if self.long else made), length


class ReleasedHIL(HIL):
    """HIL with two defects of the released code: late gradients, and long features in the instance memories.

    With equal memories, values of the losses are those of the repaired form. Not imitated: the return, at epoch 20, to
    the checkpoint with the best test score.
    """

    def instance_memory(self, features: Tensor, momentum: float | None) -> LongInstanceMemory:
        """Defect: features are mixed in without normalisation, so that long ones weigh more."""
        return LongInstanceMemory(features, momentum)

    def contrast(self, visible: Tensor, infrared: Tensor, batch: Batch) -> Losses:
        """Defect: the visible samples have updated the shared memory when the infrared gradient is computed.

        The update is inside ``backward``. If each modality has a memory of its own, there is no such defect.
        """
        c = self.config
        losses = super().contrast(visible, infrared, batch)
        if self.shared:
            rows, (features, labels) = self.visible_memory.rows, self.pending_updates[0]
            later = UPDATE_RULES[c.update](rows, normalize(features), labels, c.momentum)
            logits = similarity_by_moved_rows(infrared, rows, later) / c.temperature
            losses["infrared"] = cross_entropy(logits, batch.infrared.view_labels)
        return losses

    def keep_instances(
        self, features: dict[Modality, Tensor], images: dict[Modality, Tensor], repeats: list[int]
    ) -> None:
        """No defect: compute the memories after the update, for :meth:`similarity`."""
        super().keep_instances(features, images, repeats)
        self.later = deepcopy(self.instances)
        update_together([(self.later[m], detached(rows), images[m]) for m, rows in features.items()])

    def similarity(self, features: Tensor, key: Modality) -> Tensor:
        """Defect: the memory of instances is updated outside autograd, between the forward and the backward pass."""
        return similarity_by_moved_rows(features, self.instances[key].rows, self.later[key].rows)
