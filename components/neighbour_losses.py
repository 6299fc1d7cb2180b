"""Neighbour learning: features are pulled to all images that are about as similar as the nearest image.

SDCL (Yang et al., CVPR 2024) in the form of HIL (haonanshi0125/HIL @09c857a). Neighbours are found among the rows of an
instance memory; the loss uses current features. In all functions ``keys`` is the instance memory, ``[N, D]`` with a
unit row for every image.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import threshold

from usvi_bench.components.unit import unit

LEAST_LOG = math.log(1e-8)
"""Smallest logarithm of a probability."""


def neighbour_mask(queries: Tensor, keys: Tensor, threshold: float) -> Tensor:
    """Find neighbours: m_ij = (q_i . k_j > threshold max_l q_i . k_l).

    >>> from torch import tensor
    >>> neighbour_mask(tensor([[1.0, 0.0]]), tensor([[1.0, 0.0], [0.95, 0.31], [0.6, 0.8]]), threshold=0.9)
    tensor([[ True,  True, False]])

    Args:
        queries: ``[B, D]`` rows of an instance memory [q].
        keys: ``[N, D]`` instance memory [k].
        threshold: share of the largest cosine, below 1.

    Returns:
        ``[B, N]`` bool; a row is empty if its largest cosine is 0 or negative.
    """
    cosine = queries @ keys.t()
    return cosine > threshold * cosine.amax(dim=1, keepdim=True)


def neighbour_loss(features: Tensor, keys: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Compute the neighbour loss: ``-mean_i (sum_j m_ij log p_ij) / (1 + sum_j m_ij)``, ``p_i = softmax(k.f_i / T)``.

    See :func:`loss_of_neighbours`. No gradient reaches the keys.

    Args:
        features: ``[B, D]`` features of any length; f_i are the normalised ones.
        keys: ``[N, D]`` instance memory [k].
        mask: ``[b, N]`` neighbours of each sample [m]; see :func:`loss_of_neighbours`.
        temperature: temperature of the softmax [T].
    """
    return loss_of_neighbours(unit(features) @ keys.detach().t(), mask, temperature)


def loss_of_neighbours(similarity: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Average over samples ``(sum of -log p of the neighbours) / (1 + number of neighbours)``.

    ``L = (1/B) sum_b [ sum_{j in N(b)} -log p_bj ] / (1 + |N(b)|)``, ``p_b = softmax(similarity_b / temperature)`` over
    all keys, floored at 1e-8. A sample without neighbours costs nothing.

    Args:
        similarity: ``[B, N]`` cosine of features with keys.
        mask: ``[b, N]`` the neighbours of b images, of which the samples are one view after another.
        temperature: divides the similarities.
    """
    return neighbour_costs(similarity / temperature, mask.repeat(len(similarity) // len(mask), 1)).mean()


def neighbour_costs(logits: Tensor, mask: Tensor) -> Tensor:
    """Compute the cost of each sample in :func:`loss_of_neighbours`.

    Args:
        logits: ``[B, N]`` similarities divided by the temperature.
        mask: ``[B, N]`` neighbours of each sample.

    Returns:
        ``[B]``.
    """
    logs = threshold(logits.log_softmax(dim=1), LEAST_LOG, LEAST_LOG)
    return (logs * mask).sum(dim=1) / (-1 - mask.sum(dim=1))
