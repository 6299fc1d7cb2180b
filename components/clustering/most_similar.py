"""Most similar rows of one set for every row of another, such as the images of a modality for all images."""

from __future__ import annotations

import torch
from torch import Tensor

from usvi_bench.core.progress import SEARCH, report_progress

_BLOCK_ENTRIES = 1 << 24
"""Number of similarities held at a time; fixed, so that results do not depend on the free memory."""
_OWN = 1 + 1e-5
"""Factor of the similarity of a unit row to itself, so that rounding puts no copy of it before it."""


def most_similar(queries: Tensor, keys: Tensor, k: int, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Find the ``k`` keys with the largest inner product with each query, in blocks of rows.

    Of keys with exactly equal products, those of smaller rows come first.

    >>> most_similar(torch.eye(2), torch.tensor([[0.0, 1.0], [0.8, 0.6], [0.8, 0.6]]), k=2)
    (tensor([[0.8000, 0.8000],
            [1.0000, 0.6000]]), tensor([[1, 2],
            [0, 1]]))

    Args:
        queries: ``[N, D]``; give unit rows to compare by cosine.
        keys: ``[M, D]``, which may be the queries; then a unit row is in its own list unless ``k`` others equal it.
        k: length of the lists, 1 to ``M``.
        own: ``[M]`` query that each key is, if all keys are queries; then a unit row is the first of its own list.

    Returns:
        Inner products ``[N, k]``, descending, and rows of the keys ``[N, k]`` int64.

    Raises:
        ValueError: ``k`` is out of range.
    """
    if not 1 <= k <= len(keys):
        raise ValueError(f"k={k} most similar of {len(keys)} rows; choose 1 to {len(keys)}")
    step = max(1, _BLOCK_ENTRIES // len(keys))
    found = []
    with torch.no_grad(), torch.autocast(queries.device.type, enabled=False):
        for start in range(0, len(queries), step):
            report_progress(SEARCH, start, len(queries))
            values = queries[start : start + step] @ keys.t()
            if own is not None:
                inside = ((own >= start) & (own < start + len(values))).nonzero().squeeze(1)
                values[own[inside] - start, inside] *= _OWN
            found.append(_largest(values, k))
        report_progress(SEARCH, len(queries), len(queries))
    products, rows = zip(*found, strict=True)
    return torch.cat(products), torch.cat(rows)


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the ``k`` largest entries of each row of ``values`` ``[N, M]``, and their columns."""
    found, columns = values.topk(min(k + 1, values.shape[1]))
    if k < values.shape[1]:  # of entries that equal the last one, ``topk`` takes any
        tied = (found[:, k - 1] == found[:, k]).nonzero().squeeze(1)
        columns[tied] = values[tied].argsort(dim=1, descending=True, stable=True)[:, : k + 1]
    columns = columns[:, :k].sort(dim=1).values
    found, order = values.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return found, columns.gather(1, order)
