"""Most similar rows of one set for every row of another, such as the images of the other modality."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK_ENTRIES = 1 << 24
"""Number of similarities held at a time; fixed, so that results do not depend on the free memory."""


def most_similar(queries: Tensor, keys: Tensor, k: int) -> Tensor:
    """Find the ``k`` keys with the largest inner product with each query, in blocks of rows.

    Of keys with exactly equal products, those of smaller rows come first.

    >>> most_similar(torch.eye(2), torch.tensor([[0.0, 1.0], [0.8, 0.6], [0.8, 0.6]]), k=2)
    tensor([[1, 2],
            [0, 1]])

    Args:
        queries: ``[N, D]``; give unit rows to compare by cosine.
        keys: ``[M, D]``, which may be the queries; then a unit row is in its own list unless ``k`` others equal it.
        k: length of the lists, 1 to ``M``.

    Returns:
        ``[N, k]`` int64 rows of the keys, most similar first.

    Raises:
        ValueError: ``k`` is out of range.
    """
    if not 1 <= k <= len(keys):
        raise ValueError(f"k={k} most similar of {len(keys)} rows; choose 1 to {len(keys)}")
    step = max(1, _BLOCK_ENTRIES // len(keys))
    with torch.no_grad(), torch.autocast(queries.device.type, enabled=False):
        return torch.cat([_largest(block @ keys.t(), k) for block in queries.split(step)])


def _largest(values: Tensor, k: int) -> Tensor:
    """Find the columns of the ``k`` largest entries of each row of ``values`` ``[N, M]``."""
    found, columns = values.topk(min(k + 1, values.shape[1]))
    if k < values.shape[1]:  # of entries that equal the last one, ``topk`` takes any
        tied = (found[:, k - 1] == found[:, k]).nonzero().squeeze(1)
        columns[tied] = values[tied].argsort(dim=1, descending=True, stable=True)[:, : k + 1]
    columns = columns[:, :k].sort(dim=1).values
    order = values.gather(1, columns).argsort(dim=1, descending=True, stable=True)
    return columns.gather(1, order)
