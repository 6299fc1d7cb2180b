"""Exact nearest neighbours within one set on a CPU, at half the multiplications of a search between two sets.

The distance from i to j is the distance from j to i: only blocks on and above the diagonal are multiplied, and each
feeds the lists of its rows and of its columns. Nothing else of a block is kept, so memory is linear.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from usvi_bench.components.clustering.neighbour_lists import (
    Floats,
    Rows,
    empty_lists,
    feed_columns,
    feed_rows,
    sort_lists,
)

BLOCK = 2048
"""Rows and columns of the block in work: 16 MiB, small enough for a cache, large enough to multiply at full speed."""


def symmetric_search(vectors: Floats, k: int) -> tuple[Floats, Rows]:
    """The ``k`` nearest rows of every row, by distance and, at equal distance, by number; a row itself comes first.

    As many threads work as torch is set to use.

    Args:
        vectors: ``[N, D]``.
        k: 1 to ``N``.

    Returns:
        Squared Euclidean distances and rows, both ``[N, k]``.
    """
    n, threads = len(vectors), torch.get_num_threads()
    squares = np.einsum("nd,nd->n", vectors, vectors)
    distances, rows = empty_lists(n, k, np.arange(n))
    buffer = np.empty(min(BLOCK, n) ** 2, np.float32)
    with threadpool_limits(threads, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for top in range(0, n, BLOCK):
            bottom = min(top + BLOCK, n)
            for left in range(top, n, BLOCK):
                right = min(left + BLOCK, n)
                products = buffer[: (bottom - top) * (right - left)].reshape(bottom - top, right - left)
                np.matmul(vectors[top:bottom], vectors[left:right].T, out=products)
                block = (products, top, left, squares, distances, rows)
                in_shares(pool, feed_rows, top, bottom, *block)
                if left > top:  # on the diagonal the columns are the rows
                    in_shares(pool, feed_columns, left, right, *block)
        in_shares(pool, sort_lists, 0, n, distances, rows)
    return distances, rows


def in_shares(pool: ThreadPoolExecutor, kernel: Callable[..., None], start: int, stop: int, *arguments: Any) -> None:
    """Run ``kernel(first, last, *arguments)`` over contiguous shares of ``start <= i < stop``, one for each thread."""
    edges = np.linspace(start, stop, torch.get_num_threads() + 1).astype(int).tolist()
    for done in [pool.submit(kernel, a, b, *arguments) for a, b in pairwise(edges)]:
        done.result()
