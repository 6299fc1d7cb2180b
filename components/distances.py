"""Distances of all pairs of features."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_distances(rows: Tensor) -> Tensor:
    """Compute the squared Euclidean distances of all pairs of rows, ``[N, D]`` to ``[N, N]``; about 0 on the diagonal.

    >>> squared_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    tensor([[ 0., 25.],
            [25.,  0.]])
    """
    norms = rows.square().sum(dim=1)
    return torch.addmm(norms[:, None] + norms, rows, rows.t(), alpha=-2).relu_()
