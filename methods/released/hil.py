"""HIL in the form ``released``: haonanshi0125/HIL @09c857a, for one feature in place of its deep and shallow one."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.memory.cluster import UPDATE_RULES
from usvi_bench.components.neighbour_losses import loss_of_neighbours
from usvi_bench.core.types import Batch, Losses, Modality
from usvi_bench.methods.hil import HIL


class ReleasedHIL(HIL):
    """HIL in the form ``released``: gradients read memories that have been updated since the forward pass.

    Loss values are those of the form ``repaired``; only gradients differ. Not imitated: the return, at epoch 20, to the
    checkpoint with the best test score.
    """

    def contrast(self, visible: Tensor, infrared: Tensor, batch: Batch) -> Losses:
        """Take the infrared gradient after the visible samples have updated the shared memory (defect).

        The released code updates the memory inside ``backward``. Separate memories of the modalities lack the defect.
        """
        c = self.config
        losses = super().contrast(visible, infrared, batch)
        if c.transfer != "none":
            rows, (features, labels) = self.visible_memory.rows, self.pending_updates[0]
            later = UPDATE_RULES[c.update](rows, normalize(features), labels, c.momentum)
            logits = similarity_by_moved_rows(infrared, rows, later) / c.temperature
            losses["infrared"] = cross_entropy(logits, batch.infrared.view_labels)
        return losses

    def neighbour_term(self, features: Tensor, key: Modality, mask: Tensor) -> Tensor:
        """Take the gradient after the instance memory has been updated, unseen by autograd (defect)."""
        similarity = similarity_by_moved_rows(features, self.instances[key], self.moved_instances(key))
        return loss_of_neighbours(similarity, mask, self.config.neighbour_temperature)


def similarity_by_moved_rows(features: Tensor, rows: Tensor, later: Tensor) -> Tensor:
    """Compute cosines ``[B, N]`` of features with rows, with the gradient of the cosines with the updated rows.

    Args:
        features: ``[B, D]`` features of any length.
        rows: ``[N, D]`` unit rows at the forward pass, which give the value.
        later: ``[N, D]`` unit rows at the backward pass, which give the gradient.
    """
    unit = normalize(features, dim=1)
    moved = unit @ later.detach().t()
    return moved + (unit @ rows.detach().t() - moved).detach()
