"""Neighbour learning: features are pulled to all images that are about as similar as the nearest image.

SDCL (Yang et al., CVPR 2024) in the form of HIL (haonanshi0125/HIL @09c857a). Neighbours are found among the rows of an
instance memory; the loss uses current features. In all functions ``keys`` is the instance memory, ``[N, D]`` with a
unit row for every image.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import threshold

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


def neighbour_costs(logits: Tensor, mask: Tensor) -> Tensor:
    """Compute the neighbour loss of each sample: ``sum_j m_ij (-log p_ij) / (1 + sum_j m_ij)``, ``p_i`` a softmax.

    Probabilities are floored at 1e-8. A sample without neighbours costs nothing.

    Args:
        logits: ``[B, N]`` cosines of features with keys, divided by the temperature.
        mask: ``[B, N]`` neighbours of each sample [m].

    Returns:
        ``[B]``.
    """
    logs = threshold(logits.log_softmax(dim=1), LEAST_LOG, LEAST_LOG)
    return (logs * mask).sum(dim=1) / (-1 - mask.sum(dim=1))
