"""Features drawn towards all images that a memory of instances holds to be about as near as the nearest.

Neighbour learning of SDCL (Yang et al., CVPR 2024) as in HIL (haonanshi0125/HIL @09c857a). Who is a neighbour is read
from the memory, the loss from current features. Throughout: ``keys`` is ``[N, D]`` unit rows, one an image.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def neighbour_mask(queries: Tensor, keys: Tensor, threshold: float) -> Tensor:
    """Keys whose cosine exceeds ``threshold`` times that of the nearest key.

    Args:
        queries: ``[B, D]`` unit rows of the memory.
        keys: ``[N, D]``.
        threshold: below 1.

    Returns:
        ``[B, N]`` bool; a row without similar keys (largest cosine not above 0) is empty.
    """
    cosine = queries @ keys.t()
    return cosine > threshold * cosine.amax(dim=1, keepdim=True)


def neighbour_loss(features: Tensor, keys: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Draw features towards their neighbours; see :func:`loss_of_neighbours`. No gradient reaches the keys.

    Args:
        features: ``[B, D]``, of any length.
        keys: ``[N, D]``.
        mask: ``[B, N]`` the neighbours.
        temperature: divides the cosine similarities.
    """
    return loss_of_neighbours(normalize(features, dim=1) @ keys.detach().t(), mask, temperature)


def loss_of_neighbours(similarity: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Mean over samples of the summed ``-log p`` of their neighbours over one more than their number.

    ``L = (1/B) sum_b [ sum_{j in N(b)} -log p_bj ] / (1 + |N(b)|)``, ``p_b = softmax(similarity_b / temperature)`` over
    all keys, floored at 1e-8. A sample without neighbours costs nothing.

    Args:
        similarity: ``[B, N]`` cosine of features with keys.
        mask: ``[B, N]`` the neighbours.
        temperature: divides the similarities.
    """
    probabilities = (similarity / temperature).softmax(dim=1)
    costs = -(mask * probabilities.clamp(min=1e-8).log()).sum(dim=1)
    return (costs / (1 + mask.sum(dim=1))).mean()
