"""Exact nearest neighbours within one set on a CPU, with half the multiplications of a search between two sets.

The distance is symmetric, so only blocks on and above the diagonal are multiplied. Each block feeds the lists of its
rows and of its columns and is then dropped, so that memory grows linearly with the number of rows.
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
from usvi_bench.core.progress import SEARCH, report_progress

BLOCK = 2048
"""Rows and columns of a block (16 MiB): small enough for a cache, large enough to multiply at full speed."""


def symmetric_search(vectors: Floats, k: int) -> tuple[Floats, Rows]:
    """Find the ``k`` nearest rows of every row, by distance and then by number; the row itself comes first.

    The search uses as many threads as torch.

    Args:
        vectors: ``[N, D]`` vectors.
        k: length of the lists, 1 to ``N``.

    Returns:
        Squared Euclidean distances and rows, both ``[N, k]``.
    """
    n, threads = len(vectors), torch.get_num_threads()
    squares = np.einsum("nd,nd->n", vectors, vectors)
    distances, rows = empty_lists(n, k, np.arange(n))
    buffer = np.empty(min(BLOCK, n) ** 2, np.float32)
    with threadpool_limits(threads, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for top in range(0, n, BLOCK):
            report_progress(SEARCH, top * (2 * n - top) // 2, n * n // 2)  # pairs, of which each is computed once
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
    report_progress(SEARCH, n * n // 2, n * n // 2)
    return distances, rows


def in_shares(pool: ThreadPoolExecutor, kernel: Callable[..., None], start: int, stop: int, *arguments: Any) -> None:
    """Run ``kernel(first, last, *arguments)`` over contiguous shares of ``start <= i < stop``, one for each thread."""
    edges = np.linspace(start, stop, torch.get_num_threads() + 1).astype(int).tolist()
    for done in [pool.submit(kernel, a, b, *arguments) for a, b in pairwise(edges)]:
        done.result()
