"""Instance discrimination: every image is told from all others by a bank that holds one feature of each.

The bank of Non-Parametric Instance Discrimination (zhirongw/lemniscate.pytorch @f7cfe29), one a modality. Its positive
is what the bank remembers of the same image under another augmentation. Throughout: ``bank`` ``[N, D]`` has unit rows,
one an image in data-set order, ``features`` ``[B, D]`` unit rows, ``index`` ``[B]`` int64 their rows in the bank.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from engine.types import OUTLIER


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
    """Mean cross-entropy of recognising each feature's image among all; see :func:`instance_logits`."""
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
