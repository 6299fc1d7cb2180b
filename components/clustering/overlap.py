"""Near pairs of sparse codes, the most expensive step of the k-reciprocal Jaccard distance."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

_BLOCK_ROWS = 1024
"""Number of rows in one task; fixed, so that results do not depend on the number of threads."""
_OUTSIDE = np.float32(0.75)
"""Share of the needed overlap that may lie in entries that are not used to find candidates; 0.75 to 0.9 are about
equally fast."""


def near_pairs(codes: csr_array, max_distance: float) -> csr_array:
    """Compute the Jaccard distance of near pairs: d = 1 - s / (2 - s), s the sum of the smaller entries of two codes.

    Args:
        codes: ``[N, M]`` float32, entries >= 0, rows sum to 1.
        max_distance: largest distance to store, in ``(0, 1]``; 1 itself is never stored.

    Returns:
        ``[N, N]`` float32, exactly symmetric, sorted. Overlaps are summed in ascending column, as in a dense matrix.
    """
    n = codes.shape[0]
    columns = codes.tocsc(copy=True)
    columns.eliminate_zeros()
    rows = columns.tocsr()  # conversion from columns sorts the rows
    longest = int(np.diff(rows.indptr).max(initial=0))
    rounding = np.float32(1e-6 + longest * 2.0**-23)  # bound on the rounding error of a sum of ``longest`` entries
    arrays = (rows.indptr, rows.indices, rows.data, columns.indptr, columns.indices, columns.data)

    def block(start: int) -> Any:
        return _near_pairs(start, min(start + _BLOCK_ROWS, n), *arrays, np.float32(max_distance), _OUTSIDE, rounding)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        blocks = pool.map(block, range(0, n, _BLOCK_ROWS))
        first, second, distance = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return symmetric(first, second, distance, n)


def symmetric(
    first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]], distance: NDArray[np.float32], n: int
) -> csr_array:
    """Build a sparse symmetric ``[n, n]`` distance from pairs that are given once, with ``first <= second``."""
    apart = first != second
    places = (np.concatenate([first, second[apart]]), np.concatenate([second, first[apart]]))
    matrix = csr_array((np.concatenate([distance, distance[apart]]), places), shape=(n, n))
    matrix.sort_indices()
    return matrix


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _near_pairs(
    start: int,
    stop: int,
    row_ends: NDArray[Any],
    row_columns: NDArray[Any],
    row_values: NDArray[np.float32],
    column_ends: NDArray[Any],
    column_rows: NDArray[Any],
    column_values: NDArray[np.float32],
    limit: np.float32,
    share_outside: np.float32,
    rounding: np.float32,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Find the near pairs ``(i, j)`` with ``start <= i < stop`` and ``i <= j``, and their distances.

    A pair is near if its overlap is at least ``least``. The largest entries of ``i`` are those that leave a mass of at
    most ``outside`` in its other entries. The overlap in these other entries is at most ``outside``, so a near pair
    has an overlap of at least ``least - outside`` in the largest entries. The columns of these few entries give the
    candidates, and only the overlaps of candidates are summed in full.
    """
    n = len(row_ends) - 1
    one, two, nothing = np.float32(1), np.float32(2), np.float32(0)
    least = two * (one - limit) / (two - limit)
    outside = share_outside * least
    enough = least - outside - rounding
    own, shared = np.zeros(len(column_ends) - 1, np.float32), np.zeros(n, np.float32)
    touched = np.empty(n, np.int32)
    first, second = np.empty(n, np.int32), np.empty(n, np.int32)
    distances = np.empty(n, np.float32)
    used = 0
    for i in range(start, stop):
        columns, values = row_columns[row_ends[i] : row_ends[i + 1]], row_values[row_ends[i] : row_ends[i + 1]]
        reached = 0
        for p in _largest(values, outside):
            column, value = columns[p], values[p]
            begin, end = column_ends[column], column_ends[column + 1]
            begin += np.searchsorted(column_rows[begin:end], i)
            for q in range(begin, end):
                j = column_rows[q]
                if shared[j] == 0:
                    touched[reached] = j
                    reached += 1
                shared[j] += min(value, column_values[q])
        if used + reached > len(first):
            room = used // 2 + reached
            first = np.concatenate((first, np.empty(room, np.int32)))
            second = np.concatenate((second, np.empty(room, np.int32)))
            distances = np.concatenate((distances, np.empty(room, np.float32)))
        own[columns] = values
        for j in touched[:reached]:
            candidate = shared[j] >= enough
            shared[j] = 0
            if candidate:
                overlap = nothing
                for q in range(row_ends[j], row_ends[j + 1]):
                    overlap += min(row_values[q], own[row_columns[q]])
                distance = max(one - overlap / (two - overlap), nothing)
                if distance < one and distance <= limit:
                    first[used], second[used], distances[used] = i, j, distance
                    used += 1
        own[columns] = 0
    return first[:used].copy(), second[:used].copy(), distances[:used].copy()  # copies, to free the unused rest


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _largest(values: NDArray[np.float32], outside: np.float32) -> NDArray[np.int64]:
    """Find the smallest number of entries such that all others sum to at most ``outside``; return their places."""
    ascending = np.argsort(values)
    mass = np.float32(0)
    for left_out, place in enumerate(ascending):
        mass += values[place]
        if mass > outside:
            return ascending[left_out:]
    return ascending[len(ascending) :]
