"""Instance discrimination: every image is told from all others by a bank that holds one feature of each.

The bank of Non-Parametric Instance Discrimination (zhirongw/lemniscate.pytorch @f7cfe29), one a modality. The positive
is the stored feature of the same image under another augmentation. Throughout: ``bank`` ``[N, D]`` has unit rows, one
an image in data-set order, ``features`` ``[B, D]`` unit rows, ``index`` ``[B]`` int64 their rows in the bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.memory.instance_batch import InstanceBatch
from usvi_bench.core.types import OUTLIER


@dataclass(frozen=True)
class InstanceSettings:
    """Mixin: hyper-parameters of instance discrimination."""

    instances: bool = True
    """Instance discrimination."""
    scheduled: bool = True
    """Instances early, classes later, prototypes last where there are any. False: constant weights all along."""
    instance_negatives: Literal["masked", "all"] = "masked"
    """Whether images of the same cluster are spared as negatives."""
    instance_extra: int = 32
    """Images of each modality drawn from all, outliers included, for instance discrimination only [id_extra]."""
    instance_temperature: float = 0.1
    """Of instance discrimination [tau_I]."""
    instance_momentum: float = 0.2
    """Weight of the old entry when an image's entry in the bank moves [mu_I]."""
    instance_weight: float = 1.0
    """Of instance discrimination at the start [lambda_I]."""
    instance_until: float = 0.4
    """Fraction of the first stage after which that weight has fallen to the floor [T_I = 20 of 50 epochs]."""
    instance_floor: float = 0.0
    """Weight of instance discrimination that always remains."""
    instance_constant: float = 0.2
    """Its weight where ``scheduled`` is off: about the mean of the falling one over the first stage."""
    centroid_start: float = 0.5
    """Weight of the cluster contrast at the start, beside instance discrimination [w_0]."""

    def instance_weights(self, progress: float) -> tuple[float, float]:
        """Return the weights of instance discrimination [w_I] and of the contrast [w_C].

        The first falls and the second rises linearly until ``instance_until``.

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


class ImageBank:
    """Memory bank with one feature per training image of a modality.

    Args:
        features: ``[N, D]`` of all images; made unit.
        labels: ``[N]`` their clusters.
        settings: how.
    """

    def __init__(self, features: Tensor, labels: Tensor, settings: InstanceSettings) -> None:
        self.rows, self.labels, self.settings = normalize(features), labels, settings

    def loss(self, drawn: InstanceBatch) -> Tensor:
        """Recognise every image of a batch, also those drawn from all; see :func:`instance_loss`."""
        return instance_loss(*self._task(drawn))

    def hardest_share(self, drawn: InstanceBatch) -> Tensor:
        """How much the hardest negatives of a batch weigh; see :func:`hardest_share`."""
        return hardest_share(*self._task(drawn))

    @torch.no_grad()
    def update(self, drawn: InstanceBatch) -> None:
        """Move the rows of the images in a batch; see :func:`update_bank`."""
        self.rows = update_bank(self.rows, drawn.all_features, drawn.index, self.settings.instance_momentum)

    def _task(self, drawn: InstanceBatch) -> tuple[Tensor, Tensor, Tensor, float, Tensor | None]:
        labels = self.labels if self.settings.instance_negatives == "masked" else None
        return drawn.all_features, drawn.index, self.rows, self.settings.instance_temperature, labels


def instance_logits(
    features: Tensor, index: Tensor, bank: Tensor, temperature: float, labels: Tensor | None = None
) -> Tensor:
    """Cosine similarity to every image over the temperature, ``[B, N]``.

    Args:
        features: of the batch.
        index: their images.
        bank: of all images.
        temperature: divides the similarities.
        labels: ``[N]`` clusters: other images of a feature's own cluster then get minus infinity, so that nothing
            pushes them apart (after ICE, chenhao2345/ICE @a206eb9); an outlier has no such images.
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
    """Mean cross-entropy of recognising each feature's image among all (``L_ID`` of SPCL-ID).

    ``L_ID = -mean_b log( exp(q_b.I_b / tau) / sum_j exp(q_b.I_j / tau) )``, ``I_b`` the row of ``q_b``'s own image;
    with ``labels`` the sum leaves out other images of its cluster. See :func:`instance_logits`.
    """
    return cross_entropy(instance_logits(features, index, bank, temperature, labels), index)


def hardest_share(
    features: Tensor, index: Tensor, bank: Tensor, temperature: float, labels: Tensor | None = None, count: int = 10
) -> Tensor:
    """Share of the negatives' probability that the ``count`` most similar ones hold, averaged over the batch."""
    logits = instance_logits(features.detach(), index, bank, temperature, labels)
    negatives = logits.scatter(1, index[:, None], -torch.inf).softmax(dim=1)
    return negatives.topk(min(count, negatives.shape[1]), dim=1).values.sum(dim=1).mean()


def update_bank(bank: Tensor, features: Tensor, index: Tensor, momentum: float) -> Tensor:
    """A bank whose images in the batch moved: ``row = unit(momentum * row + (1 - momentum) * mean of its features)``.

    An image that occurs several times moves once, so the order of the batch does not matter.
    """
    images, image = index.unique(return_inverse=True)
    totals = features.new_zeros(len(images), features.shape[1]).index_add(0, image, features)
    means = totals / image.bincount()[:, None]
    return bank.index_copy(0, images, normalize(momentum * bank[images] + (1 - momentum) * means, dim=1))
