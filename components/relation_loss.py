"""Relation loss of one batch: near features are drawn together, other features are pushed apart.

Relaxed contrastive loss (Kim et al., CVPR 2021) in the form of RPNR (XiangboYin/RPNR @6647f21), with the batch as its
own teacher.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from usvi_bench.components.unit import unit

Space = Literal["unit", "raw"]
"""Features whose distances give the weights: of unit length, or as they are."""


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
    with torch.autocast(features.device.type, enabled=False):
        rows = features.float()
        squared = squared_distances(rows)
        nearness = squared if space == "raw" else squared_distances(unit(rows).detach())
        weights = (nearness.detach() / -sigma).exp()
        distances = squared.clamp(min=1e-12).sqrt()  # no gradient between equal features
        scaled = distances / distances.mean(dim=1, keepdim=True)
        terms = torch.lerp((delta - scaled).relu().square(), scaled.square(), weights)  # about 0 if i = j
        return terms.sum() / max(len(rows) * (len(rows) - 1), 1)


def squared_distances(rows: Tensor) -> Tensor:
    """Compute the squared Euclidean distances of all pairs of rows, ``[N, D]`` to ``[N, N]``; 0 on the diagonal.

    >>> squared_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    tensor([[ 0., 25.],
            [25.,  0.]])
    """
    norms = rows.square().sum(dim=1)
    return torch.addmm(norms[:, None] + norms, rows, rows.t(), alpha=-2).clamp(min=0).fill_diagonal_(0)
