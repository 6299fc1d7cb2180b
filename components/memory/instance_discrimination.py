"""Instance discrimination with a memory bank that holds one feature for each image of a modality.

The bank is that of Non-Parametric Instance Discrimination (NPID, zhirongw/lemniscate.pytorch @f7cfe29). The positive of
a feature is the stored feature of the same image, from an earlier augmentation. In all functions ``bank`` ``[N, D]``
has a unit row for each image in data-set order, ``features`` ``[B, D]`` are unit rows, and ``index`` ``[B]`` int64 are
their rows in the bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.memory.instance_batch import InstanceBatch
from usvi_bench.components.memory.rules import mean_update
from usvi_bench.core.bounds import COUNT, TINY, WEIGHT, bounded
from usvi_bench.core.types import OUTLIER


@dataclass(frozen=True)
class InstanceSettings:
    """Mixin: hyper-parameters of instance discrimination."""

    instances: bool = True
    """Use instance discrimination."""
    scheduled: bool = True
    """Use the progressive schedule: instances first, classes later, prototypes last. False: constant weights."""
    instance_negatives: Literal["masked", "all"] = "masked"
    """Negatives of instance discrimination: all images except those of the same cluster, or all other images."""
    instance_extra: int = bounded(32, 0, COUNT)
    """Number of images of each modality drawn from all images, outliers included, for instance discrimination only
    [id_extra]."""
    instance_temperature: float = bounded(0.1, TINY, 1000)
    """Temperature of instance discrimination [tau_I]."""
    instance_momentum: float = bounded(0.2, 0, 1)
    """Weight of the old row in an update of the bank [mu_I]."""
    instance_weight: float = bounded(1.0, 0, WEIGHT)
    """Weight of instance discrimination at the start [lambda_I]."""
    instance_until: float = bounded(0.4, TINY, 1)
    """Fraction of the first stage after which the weight of instance discrimination has fallen to ``instance_floor``
    [T_I = 20 of 50 epochs]."""
    instance_floor: float = bounded(0.0, 0, WEIGHT)
    """Smallest weight of instance discrimination."""
    instance_constant: float = bounded(0.2, 0, WEIGHT)
    """Weight of instance discrimination with ``scheduled=false``; about the mean of the scheduled weight over the
    first stage."""
    centroid_start: float = bounded(0.5, 0, 1)
    """Weight of the cluster contrast at the start, beside instance discrimination [w_0]."""

    def instance_weights(self, progress: float) -> tuple[float, float]:
        """Return the weights of instance discrimination [w_I] and of the cluster contrast [w_C].

        w_I falls and w_C rises linearly until ``instance_until``.

        >>> [InstanceSettings().instance_weights(progress) for progress in (0.0, 0.2, 0.4, 1.0)]
        [(1.0, 0.5), (0.5, 0.75), (0.0, 1.0), (0.0, 1.0)]

        Args:
            progress: elapsed fraction of the first stage.
        """
        if not self.instances:
            return 0.0, 1.0
        if not self.scheduled:
            return self.instance_constant, 1.0
        passed = min(1.0, progress / self.instance_until)
        falling = max(self.instance_floor, self.instance_weight * (1 - passed))
        return falling, self.centroid_start + (1 - self.centroid_start) * passed


class ImageBank(nn.Module):
    """Memory bank with one feature per training image of a modality.

    Args:
        features: ``[N, D]`` features of all images, normalised here.
        labels: ``[N]`` clusters of the images.
        settings: hyper-parameters of instance discrimination.
    """

    rows: Tensor
    labels: Tensor

    def __init__(self, features: Tensor, labels: Tensor, settings: InstanceSettings) -> None:
        super().__init__()
        self.register_buffer("rows", normalize(features), persistent=False)
        self.register_buffer("labels", labels, persistent=False)
        self.settings = settings

    def loss(self, drawn: InstanceBatch) -> Tensor:
        """Compute the instance discrimination loss of all images of a batch; see :func:`instance_loss`."""
        return instance_loss(*self._task(drawn))

    def hardest_share(self, drawn: InstanceBatch) -> Tensor:
        """Compute the share of the hardest negatives of a batch; see :func:`hardest_share`."""
        return hardest_share(*self._task(drawn))

    def _task(self, drawn: InstanceBatch) -> tuple[Tensor, Tensor, Tensor, float, Tensor | None]:
        labels = self.labels if self.settings.instance_negatives == "masked" else None
        return drawn.all_features, drawn.index, self.rows, self.settings.instance_temperature, labels


def instance_logits(
    features: Tensor, index: Tensor, bank: Tensor, temperature: float, labels: Tensor | None = None
) -> Tensor:
    """Compute the cosine similarities to all images divided by the temperature, ``[B, N]``.

    Args:
        features: ``[B, D]`` features of the batch.
        index: ``[B]`` images of the batch.
        bank: ``[N, D]`` bank of all images.
        temperature: divides the similarities [tau_I].
        labels: ``[N]`` clusters, or None. With labels, other images of a feature's own cluster get minus infinity and
            are no negatives (after ICE, chenhao2345/ICE @a206eb9). For an outlier all other images are negatives.
    """
    logits = features @ bank.T / temperature
    if labels is None:
        return logits
    own = labels[index][:, None]
    mates = ((own == labels) & (own != OUTLIER)).scatter(1, index[:, None], value=False)
    return logits.masked_fill(mates, -torch.inf)


def instance_loss(
    features: Tensor, index: Tensor, bank: Tensor, temperature: float, labels: Tensor | None = None
) -> Tensor:
    """Compute the instance discrimination loss: L_ID = -1/B sum_b log softmax_j(q_b . I_j / tau_I)[i_b].

    I is the bank and i_b the image of feature q_b; see :func:`instance_logits` for the images j. The form is that of
    NPID (zhirongw/lemniscate.pytorch @f7cfe29); for SPCL-ID it is our reconstruction.
    """
    return cross_entropy(instance_logits(features, index, bank, temperature, labels), index)


def hardest_share(
    features: Tensor, index: Tensor, bank: Tensor, temperature: float, labels: Tensor | None = None, count: int = 10
) -> Tensor:
    """Compute the share of the ``count`` most similar negatives in the probability of all, averaged over the batch."""
    logits = instance_logits(features.detach(), index, bank, temperature, labels)
    negatives = logits.scatter(1, index[:, None], -torch.inf).softmax(dim=1)
    return negatives.topk(min(count, negatives.shape[1]), dim=1).values.sum(dim=1).mean()


@torch.no_grad()
def update_banks(updates: Sequence[tuple[ImageBank, InstanceBatch]]) -> None:
    """Update the banks of different modalities, which have the same settings, in one pass.

    The rows of the images in a batch become I_i = unit(mu_I I_i + (1 - mu_I) mean of the features of i). An image that
    occurs several times is updated once, so the order of the batch does not matter.
    """
    banks, drawn = zip(*updates, strict=True)
    sizes = [len(bank.rows) for bank in banks]
    index = torch.cat([batch.index + sum(sizes[:i]) for i, batch in enumerate(drawn)])
    rows, features = torch.cat([bank.rows for bank in banks]), torch.cat([batch.all_features for batch in drawn])
    moved = mean_update(rows, features, index, banks[0].settings.instance_momentum)
    for bank, part in zip(banks, moved.split(sizes), strict=True):
        bank.rows = part
