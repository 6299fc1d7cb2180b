"""Costs of pairing visible and infrared clusters by several memories of each: multi-memory matching (MMLM) of MMM.

https://arxiv.org/abs/2401.06825; shijiangming1/MMM @7e57d50.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

CostSide = Literal["visible", "infrared"]
"""Modality whose memories a cost sums over."""


def matching_costs(visible: Tensor, infrared: Tensor, side: CostSide = "visible") -> Tensor:
    """Compute the costs of all pairs of clusters: M(V_a, R_b) = sum_i min_j |V_ai - R_bj|.

    This is the direction of the paper. ``side=infrared`` is that of the released code, sum_j min_i |V_ai - R_bj|.

    >>> from torch import tensor
    >>> visible, infrared = tensor([[[0.0], [3.0]]]), tensor([[[1.0], [1.0]]])
    >>> matching_costs(visible, infrared), matching_costs(visible, infrared, side="infrared")
    (tensor([[3.]], dtype=torch.float64), tensor([[2.]], dtype=torch.float64))

    Args:
        visible: ``[Kv, n, D]`` memories of the visible clusters [V].
        infrared: ``[Kr, n, D]`` memories of the infrared clusters [R].
        side: modality whose memories are summed over.

    Returns:
        ``[Kv, Kr]`` float64.
    """
    first, second = (part.double() for part in (visible, infrared))
    squares = [part.square().sum(2).flatten() for part in (first, second)]
    products = first.flatten(0, 1) @ second.flatten(0, 1).t()
    distance = (squares[0][:, None] + squares[1] - 2 * products).clamp(min=0).sqrt()
    blocks = distance.view(*visible.shape[:2], *infrared.shape[:2])  # [Kv, n, Kr, n]
    return blocks.amin(3).sum(1) if side == "visible" else blocks.amin(1).sum(2)
