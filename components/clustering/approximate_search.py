"""Approximate nearest neighbours within one set on a CPU, for sets too large to compare every pair.

An inverted file over 4-bit product-quantised vectors (Jegou et al., TPAMI 2011; André et al., VLDB 2015; faiss'
``IndexIVFPQFastScan``) finds candidates, which are then compared exactly. Further neighbours are searched among the
neighbours of neighbours (Dong et al., WWW 2011), because most neighbours of an image are neighbours of each other. A
sample of rows is searched exhaustively; its recall decides when both searches stop, and is recorded.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.components.clustering.faiss_search import SAMPLE, TARGET_RECALL, load_faiss
from usvi_bench.components.clustering.neighbour_lists import (
    OWNER,
    Floats,
    Rows,
    empty_lists,
    feed_candidates,
    feed_neighbours,
    sort_lists,
)
from usvi_bench.components.clustering.symmetric_search import in_shares, symmetric_search
from usvi_bench.core.measuring import record_min

CANDIDATES = 6
"""Number of rows compared exactly for each neighbour in a list."""
FIRST_RECALL = 0.9
"""Recall to reach with the index alone; further neighbours are cheaper to find among neighbours of neighbours."""
ROUNDS = 3
"""Largest number of rounds over neighbours of neighbours."""

_FEW = 1000
"""Number of rows below which the search is exact; an index cannot be trained on so few."""
_TRAINING_ROWS = 40
"""Number of rows for each inverted list in the training of the index; faiss requires 39."""
_BLOCK_ROWS = 1024


def approximate_search(vectors: Floats, k: int) -> tuple[Floats, Rows]:
    """Find the ``k`` nearest rows of every row approximately; record the ``recall`` on a sample of rows.

    Args:
        vectors: ``[N, D]`` vectors.
        k: length of the lists, 1 to ``N``.

    Returns:
        Squared Euclidean distances, which are exact for the rows found, and rows, both ``[N, k]``, nearest first.

    Raises:
        UsageError: faiss is not installed.
    """
    faiss = load_faiss("approximate")
    n = len(vectors)
    if n < _FEW:
        record_min("recall", 1.0)
        return symmetric_search(vectors, k)
    faiss.omp_set_num_threads(torch.get_num_threads())
    sample = np.sort(np.random.default_rng(1).choice(n, min(n, SAMPLE), replace=False))
    truth = faiss.knn(vectors[sample], vectors, k)[1]
    index = _index(vectors)
    _tune(index, vectors, sample, truth)
    blocks = [_search(index, vectors, np.arange(a, min(a + _BLOCK_ROWS, n)), k) for a in range(0, n, _BLOCK_ROWS)]
    distances, rows = (np.concatenate(part) for part in zip(*blocks, strict=True))
    for _ in range(ROUNDS):
        if _recall(truth, rows[sample]) >= TARGET_RECALL:
            break
        distances, rows = _look_further(vectors, distances, rows)
    record_min("recall", _recall(truth, rows[sample]))
    return distances, rows


def _recall(truth: NDArray[np.int64], found: Rows) -> float:
    return float(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]))


def _index(vectors: Floats) -> Any:
    """Build an index of all rows; the number of inverted lists is about four times the square root of N."""
    faiss, (n, dimension) = load_faiss("approximate"), vectors.shape
    lists = max(1, min(round(4 * n**0.5), n // _TRAINING_ROWS))
    parts = max(m for m in range(1, max(dimension // 4, 1) + 1) if dimension % m == 0)
    index = faiss.index_factory(dimension, f"IVF{lists},PQ{parts}x4fs")
    learn = np.random.default_rng(0).choice(n, min(n, max(lists, 256) * _TRAINING_ROWS), replace=False)
    index.train(vectors[np.sort(learn)])
    index.add(vectors)
    return index


def _tune(index: Any, vectors: Floats, sample: NDArray[np.int64], truth: NDArray[np.int64]) -> None:
    """Set the number of lists to visit so that the index alone reaches ``FIRST_RECALL``."""
    index.nprobe = max(1, index.nlist // 128)
    while index.nprobe < index.nlist:
        if _recall(truth, _search(index, vectors, sample, truth.shape[1])[1]) >= FIRST_RECALL:
            break
        index.nprobe = min(index.nprobe + index.nprobe // 4 + 1, index.nlist)


def _search(index: Any, vectors: Floats, owners: NDArray[np.int64], k: int) -> tuple[Floats, Rows]:
    """Search the index for the neighbours of some rows, and compare the candidates exactly."""
    n = len(vectors)
    candidates = index.search(vectors[owners], min(CANDIDATES * k, n))[1]
    few = (candidates >= 0).sum(axis=1) < k + 1  # the owner is not always among them
    if few.any():  # too few candidates in the lists visited: compare these rows with all
        candidates[few] = -1
        candidates[few, :k] = load_faiss("approximate").knn(vectors[owners[few]], vectors, k)[1]
    distances, rows = empty_lists(len(owners), k, owners)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        in_shares(pool, feed_candidates, 0, len(owners), vectors, owners, candidates, distances, rows)
        in_shares(pool, sort_lists, 0, len(owners), distances, rows)
    return distances, rows


def _look_further(vectors: Floats, distances: Floats, rows: Rows) -> tuple[Floats, Rows]:
    """Search the neighbours of neighbours once; lists are sorted before and after."""
    heaps = distances[:, ::-1].copy(), rows[:, ::-1].copy()  # a descending list is a heap
    heaps[0][heaps[1] == np.arange(len(rows))[:, None]] = OWNER
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        in_shares(pool, feed_neighbours, 0, len(rows), vectors, rows, *heaps)
        in_shares(pool, sort_lists, 0, len(rows), *heaps)
    return heaps
