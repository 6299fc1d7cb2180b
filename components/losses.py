"""Losses against soft targets."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from usvi_bench.components.memory.cluster import mean_weights, weighted_sum


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the mean cross-entropy of predicted with target probabilities.

    Args:
        logits: ``[B, C]``.
        target: ``[B, C]`` probabilities; no gradient reaches them.
    """
    return -(target.detach() * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


def smoothed_targets(labels: Tensor, probabilities: Tensor, smoothing: float | Tensor) -> Tensor:
    """Hard labels blended with soft ones: ``(1 - smoothing) * onehot(label) + smoothing * probabilities``.

    The label-smoothing form of DCCC (theziqi/DCCC @102d8ef), where a teacher gives the probabilities.

    >>> from torch import tensor
    >>> smoothed_targets(tensor([0]), tensor([[0.5, 0.5, 0.0]]), smoothing=0.5)
    tensor([[0.7500, 0.2500, 0.0000]])

    Args:
        labels: ``[B]`` int64.
        probabilities: ``[B, C]``, rows sum to 1; no gradient reaches them.
        smoothing: in ``[0, 1]``, one for all or ``[B]``.
    """
    if isinstance(smoothing, Tensor):
        smoothing = smoothing[:, None]
    soft = probabilities.detach()
    return (1 - smoothing) * F.one_hot(labels, soft.shape[1]) + smoothing * soft


def teacher_targets(labels: Tensor, soft: Tensor, smoothing: float, consistency: str) -> Tensor:
    """A cluster label blended with a teacher's soft assignment (targets of SCLHM's SSCL).

    ``target = (1 - smoothing) onehot(label) + smoothing soft``. The mass left on the label is ``1 - smoothing * (1 -
    c)`` with ``c = soft[label]``: an image that the teacher finds consistent with its cluster is hardly smoothed.

    Args:
        labels: ``[B]`` rows of the memory.
        soft: ``[B, K]`` the teacher's probabilities.
        smoothing: weight of the soft assignment [eps_s].
        consistency: ``plain``; ``sample`` scales the weight by ``1 - c``; ``class`` blends ``soft`` half and half
            with its mean over the samples of the batch that have the same label.
    """
    if consistency == "sample":
        return smoothed_targets(labels, soft, smoothing * (1 - soft.gather(1, labels[:, None]).squeeze(1)))
    if consistency == "class":
        means, _ = weighted_sum(soft, labels, mean_weights(labels), soft.shape[1])
        soft = (soft + means[labels]) / 2
    return smoothed_targets(labels, soft, smoothing)
