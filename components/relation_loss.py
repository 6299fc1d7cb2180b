"""Relation loss of one batch: near features are pulled together, other features are pushed apart.

Relaxed contrastive loss (Kim et al., CVPR 2021) in the form of RPNR (XiangboYin/RPNR @6647f21), with the batch as its
own teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import threshold

from usvi_bench.components.distances import squared_distances
from usvi_bench.components.unit import unit

Space = Literal["unit", "raw"]
"""Features whose distances give the weights: of unit length, or as they are."""
LEAST_DISTANCE = 1e-6
"""Distance up to which two features are equal, so that there is no gradient between them."""


def relation_loss(features: Tensor, space: Space = "unit", sigma: float = 1.0, delta: float = 1.0) -> Tensor:
    """Compute ``R = 1/(N(N-1)) sum_{i != j} [w_ij s_ij^2 + (1 - w_ij) max(delta - s_ij, 0)^2]``.

    ``s_ij = |f_i - f_j| / mean_l |f_i - f_l|``, where the mean includes l = i, and ``w_ij = exp(-|g_i - g_j|^2 /
    sigma)``. g is f without gradient, of unit length (``space=unit``) or as it is (``raw``). s does not depend on the
    scale of the features; with ``raw``, w does.

    >>> loss = relation_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    >>> round(float(loss), 3)
    0.19

    Args:
        features: ``[N, D]`` features of one modality [f].
        space: features that give the weights.
        sigma: width of the weights [sigma].
        delta: scaled distance from which features are not pushed apart [delta].
    """
    return relation_losses([features], space, sigma, delta)[0]


def relation_losses(
    groups: Sequence[Tensor], space: Space = "unit", sigma: float = 1.0, delta: float = 1.0
) -> list[Tensor]:
    """Compute :func:`relation_loss` of the features ``[N, D]`` of each group, all in one pass."""
    features, sizes = torch.cat(list(groups)), tuple(map(len, groups))
    with torch.autocast(features.device.type, enabled=False):
        rows = features.float()
        with torch.no_grad():
            seen = rows if space == "raw" else torch.cat([unit(group.float()) for group in groups])
            weights = (squared_distances(seen) / -sigma).exp()
        costs: Tensor = _RelationCosts.apply(rows, weights, _shares(sizes, rows.device), delta)  # type: ignore[no-untyped-call]
        return [part.sum() for part in costs.split(sizes)]


@lru_cache(maxsize=16)
def _shares(sizes: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ``1 / N`` and ``1 / (N (N - 1))`` ``[B, B]`` of pairs of different samples of a group of N, else 0."""
    blocks = [torch.full((size, size), 1 / size, device=device).fill_diagonal_(0) for size in sizes]
    scaled = [block / max(size - 1, 1) for block, size in zip(blocks, sizes, strict=True)]
    return torch.block_diag(*blocks), torch.block_diag(*scaled)


class _RelationCosts(torch.autograd.Function):
    """Costs ``c_i = sum_j [w_ij s_ij^2 + (1 - w_ij) h_ij^2] / (N (N - 1))`` of samples, ``s_ij = d_ij / m_i``.

    ``d_ij`` are distances of features f, ``m_i`` their mean, and ``h = min(s - delta, 0)``. Gradients are ``e_ij =
    dc_i/ds_ij = 2 [w_ij s_ij + (1 - w_ij) h_ij] / (N (N - 1))``, ``g_ij = dc_i/dd_ij = (e_ij - sum_l e_il s_il / N) /
    m_i``, and ``sum_j (g_ij + g_ji) (f_i - f_j) / d_ij``.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weights: Tensor, shares: tuple[Tensor, Tensor], delta: float) -> Tensor:
        distances = squared_distances(rows).sqrt_()
        means = (distances * shares[0]).sum(dim=1, keepdim=True).clamp_(min=LEAST_DISTANCE)
        scaled = distances / means
        hinges = (scaled - delta).clamp_(max=0)
        ctx.save_for_backward(rows, weights, distances, means, scaled, hinges)
        ctx.shares = shares
        return torch.lerp(hinges.square(), scaled.square(), weights).mul_(shares[1]).sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        rows, weights, distances, means, scaled, hinges = ctx.saved_tensors
        half = torch.lerp(hinges, scaled, weights).mul_(ctx.shares[1]).mul_(gradient[:, None])  # of e
        along = (half * scaled).sum(dim=1, keepdim=True)
        pulls = torch.addcmul(half, ctx.shares[0], along, value=-1).div_(means)
        pulls.div_(threshold(distances, LEAST_DISTANCE, torch.inf))
        pulls = pulls + pulls.t()
        back = torch.addmm(rows * pulls.sum(dim=1, keepdim=True), pulls, rows, beta=2, alpha=-2)
        return back, None, None, None
