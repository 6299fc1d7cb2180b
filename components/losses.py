"""Cross-entropy with soft targets: soft smooth contrastive learning (SSCL)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from usvi_bench.components.memory.rules import mates, mean_of_mates


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the soft cross-entropy of each sample: -sum_k t_ik log p_ik, p_i = softmax(logits_i).

    With the targets of :func:`teacher_targets` and logits M f_i / tau, its mean is the loss of SSCL.

    Args:
        logits: ``[..., B, C]``.
        target: ``[..., B, C]`` target probabilities [t]; no gradient reaches them.

    Returns:
        ``[..., B]``.
    """
    return -(target.detach() * F.log_softmax(logits, dim=-1)).sum(dim=-1)


def smoothed_targets(labels: Tensor, probabilities: Tensor, smoothing: float | Tensor) -> Tensor:
    """Blend hard labels with soft ones: t_i = (1 - eps_s) onehot(y_i) + eps_s q_i.

    DCCC (theziqi/DCCC @102d8ef) smooths labels in this form, with the probabilities q_i of a teacher.

    >>> from torch import tensor
    >>> smoothed_targets(tensor([0]), tensor([[0.5, 0.5, 0.0]]), smoothing=0.5)
    tensor([[0.7500, 0.2500, 0.0000]])

    Args:
        labels: ``[..., B]`` int64 classes [y].
        probabilities: ``[..., B, C]`` soft labels [q], rows sum to 1; no gradient reaches them.
        smoothing: weight of the soft labels in ``[0, 1]`` [eps_s], one number or ``[..., B]``.

    Returns:
        ``[..., B, C]``, rows sum to 1.
    """
    share = smoothing[..., None] if isinstance(smoothing, Tensor) else smoothing
    chosen = labels[..., None]
    hard = 1 - share if isinstance(share, Tensor) else probabilities.new_full((), 1 - share)
    return (share * probabilities.detach()).scatter_add_(-1, chosen, hard.expand(chosen.shape))


def teacher_targets(
    labels: Tensor, soft: Tensor, smoothing: float | Tensor, consistency: str, groups: Tensor | None = None
) -> Tensor:
    """Compute the targets of SSCL: t_i = (1 - eps_s) onehot(y_i) + eps_s q_i, q_i = softmax(M t'_i / tau).

    q_i is the soft assignment of a teacher, whose feature of the image is t'_i. The probability of the label becomes
    1 - eps_s (1 - c_i) with c_i = q_i[y_i]. An image is smoothed the less, the more its soft assignment agrees with its
    label. The form is our reconstruction after DCCC (theziqi/DCCC @102d8ef).

    >>> from torch import tensor
    >>> teacher_targets(tensor([0]), tensor([[0.5, 0.5]]), smoothing=0.5, consistency="plain")
    tensor([[0.7500, 0.2500]])
    >>> teacher_targets(tensor([0]), tensor([[0.5, 0.5]]), smoothing=0.5, consistency="sample")
    tensor([[0.8750, 0.1250]])

    Args:
        labels: ``[..., B]`` rows of the memory [y].
        soft: ``[..., B, K]`` probabilities of the teacher [q].
        smoothing: weight of the soft assignment [eps_s], one number or ``[..., B]``.
        consistency: ``plain``, ``sample`` or ``class``. ``sample`` multiplies the weight by 1 - c_i. ``class`` replaces
            q_i by the mean of q_i and of its average over the samples of the batch in the same group.
        groups: ``[..., B]`` groups of ``class``; None for the samples with the same label.

    Returns:
        ``[..., B, K]``, rows sum to 1.
    """
    if consistency == "sample":
        return smoothed_targets(labels, soft, smoothing * (1 - soft.gather(-1, labels[..., None]).squeeze(-1)))
    if consistency == "class":
        soft = (soft + mean_of_mates(soft, mates(labels if groups is None else groups))) / 2
    return smoothed_targets(labels, soft, smoothing)
