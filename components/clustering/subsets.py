"""Clustering of a random part of the visible images, as in BMIL (Terminator8758/BMIL @79cc647)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor

from usvi_bench.core.types import OUTLIER, Features


def random_parts(count: int, share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw two disjoint parts of ``count`` rows, each with ``int(share * count)`` rows in random order.

    Args:
        count: number of rows.
        share: share of the rows in a part, at most a half; or 1, which makes each part all rows in their order.
        generator: generator of the draw, on the CPU.

    Returns:
        The rows of the first and of the second part.
    """
    if share == 1:
        return torch.arange(count), torch.arange(count)
    size = int(count * share)
    order = torch.randperm(count, generator=generator)
    return order[:size], order[size : 2 * size]


def visible_part(features: Features, rows: Tensor) -> Features:
    """Return features with only the given visible images."""
    rows = rows.to(features.visible.device)
    return replace(features, visible=features.visible[rows], visible_cameras=features.visible_cameras[rows])


def scattered(labels: Tensor, rows: Tensor, count: int) -> Tensor:
    """Return the labels of ``count`` images from the labels of some rows; other images are outliers.

    >>> scattered(torch.tensor([5, 7]), torch.tensor([3, 0]), 4)
    tensor([ 7, -1, -1,  5])
    """
    return labels.new_full((count,), OUTLIER).index_copy_(0, rows.to(labels.device), labels)
