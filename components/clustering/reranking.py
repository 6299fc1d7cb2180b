"""Re-ranking of a gallery by k-reciprocal encoding, with sparse codes.

Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017. It is transductive: the
distances of a query depend on all other queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.components.clustering.jaccard import relative_codes
from usvi_bench.components.clustering.neighbours import nearest

K1, K2, WEIGHT = 20, 6, 0.3
"""Settings of the paper: neighbours, neighbours in the local expansion, weight of the original distance."""
BLOCK = 1 << 22
"""Number of distances in a block."""
_TINY = np.float32(1e-12)
"""Smallest divisor, for images that are all equal."""


def reranked_distance(
    queries: Tensor | NDArray[np.float32],
    gallery: Tensor | NDArray[np.float32],
    k1: int = K1,
    k2: int = K2,
    weight: float = WEIGHT,
) -> Iterator[tuple[slice, Tensor]]:
    """Compute re-ranked distances in blocks of queries: (1 - weight) J_ij + weight d_ij / max_j d_ij.

    d is the squared Euclidean distance among all N = Q + G images, and J their Jaccard distance, see
    :func:`~usvi_bench.components.clustering.jaccard.jaccard_distance`. The codes weigh neighbours by exp(-d / max d).
    The lists of neighbours have ``k1`` images and the image itself, and sets of mutual neighbours are expanded by lists
    of round(k1 / 2) images and the image itself. Time grows with the square of N, memory with N and the block.

    Args:
        queries: ``[Q, D]`` unit features.
        gallery: ``[G, D]`` unit features.
        k1: number of neighbours, without the image itself; fewer if there are fewer images.
        k2: number of neighbours in the local expansion, the image itself included; 1 for no expansion. The lists have
            at most ``k1 + 1`` images.
        weight: weight of the original distance (lambda), from 0 to 1.

    Yields:
        Rows of the queries, and their distances ``[B, G]`` float32.

    Raises:
        ValueError: an argument is out of range.
    """
    if k1 < 1 or k2 < 1 or not 0 <= weight <= 1:
        raise ValueError(f"k1={k1}, k2={k2}, weight={weight}: choose k1, k2 >= 1 and a weight in [0, 1]")
    probes, pool = (torch.as_tensor(part).detach().cpu().float() for part in (queries, gallery))
    vectors = torch.cat([probes, pool])
    size = len(vectors)
    lists = nearest(vectors, min(k1 + 1, size), "exact")[1]
    farthest = _farthest(vectors)
    codes = relative_codes(vectors, lists, round(k1 / 2) + 1, k2, farthest)
    columns = codes[len(probes) :].tocsc()
    arrays = (codes.indptr, codes.indices, codes.data, columns.indptr, columns.indices, columns.data)
    step = max(1, BLOCK // len(pool))
    for start in range(0, len(probes), step):
        rows = slice(start, min(start + step, len(probes)))
        shared = np.zeros((rows.stop - start, len(pool)), np.float32)
        _overlaps(start, *arrays, shared)
        jaccard = torch.from_numpy(1 - shared / (2 - shared))
        original = (2 - 2 * probes[rows] @ pool.T) / torch.from_numpy(farthest[rows])[:, None]
        yield rows, (1 - weight) * jaccard + weight * original


def _farthest(vectors: Tensor) -> NDArray[np.float32]:
    """Return the largest squared distance of each unit vector to any other."""
    step = max(1, BLOCK // len(vectors))
    product, lowest = torch.empty(min(step, len(vectors)), len(vectors)), torch.empty(len(vectors))
    for start in range(0, len(vectors), step):  # in one buffer: freed blocks between small tensors are not used again
        part = vectors[start : start + step]
        lowest[start : start + step] = torch.mm(part, vectors.T, out=product[: len(part)]).amin(1)
    largest: NDArray[np.float32] = np.maximum((2 - 2 * lowest).numpy(), _TINY)
    return largest


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _overlaps(
    start: int,
    row_ends: NDArray[Any],
    row_columns: NDArray[Any],
    row_values: NDArray[np.float32],
    column_ends: NDArray[Any],
    column_rows: NDArray[Any],
    column_values: NDArray[np.float32],
    shared: NDArray[np.float32],
) -> None:
    """Add the smaller entries of the codes of queries from ``start`` on and of gallery images to ``shared``."""
    for i in range(len(shared)):
        for p in range(row_ends[start + i], row_ends[start + i + 1]):
            column, value = row_columns[p], row_values[p]
            for q in range(column_ends[column], column_ends[column + 1]):
                shared[i, column_rows[q]] += min(value, column_values[q])
