"""Average precision from ranks, added up in one fixed order."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEAF = 128
"""Numbers that numpy adds without halving them first, in eight lanes."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def average_precisions(
    rank: NDArray[np.int64], position: NDArray[np.int64], ends: NDArray[np.int64], length: int
) -> NDArray[np.float64]:
    """Mean of ``k / rank`` over the positives of each query, ``k`` from 1; NaN where there is none.

    Summed as numpy sums a row of the gallery that is zero but at the positives, pairwise: a mean rounds as its order
    says, and recorded figures are compared bit for bit.

    Args:
        rank: ``[P]`` from 1, of the positives query after query, best first.
        position: ``[P]`` from 0, their places in that row.
        ends: ``[Q + 1]``; the positives of query ``q`` are ``ends[q]`` to ``ends[q + 1]``.
        length: of the row.
    """
    means = np.full(len(ends) - 1, np.nan)
    for i in range(len(means)):
        number = ends[i + 1] - ends[i]
        if number > 0:
            own = slice(ends[i], ends[i + 1])
            means[i] = _pairwise_sum(np.arange(1, number + 1) / rank[own], position[own], length) / number
    return means


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pairwise_sum(values: NDArray[np.float64], places: NDArray[np.int64], length: int) -> float:
    """Sum of ``length`` numbers that are zero but at ``places``. A cached recursive function would crash in numba."""
    ranges = np.empty((64, 3), np.int64)  # still to add: start, size, depth in the tree of halves
    sums, depths = np.empty(64), np.empty(64, np.int64)  # added, but not yet to their other half
    ranges[0] = 0, length, 0
    waiting, held = 1, 0
    while waiting > 0:
        waiting -= 1
        start, size, depth = ranges[waiting]
        first, last = np.searchsorted(places, start), np.searchsorted(places, start + size)
        if size > LEAF and last > first:
            half = size // 2 - size // 2 % 8
            ranges[waiting] = start + half, size - half, depth + 1
            ranges[waiting + 1] = start, half, depth + 1
            waiting += 2
            continue
        total = _leaf_sum(values[first:last], places[first:last] - start, size)
        while held > 0 and depths[held - 1] == depth:
            held -= 1
            total += sums[held]
            depth -= 1
        sums[held], depths[held] = total, depth
        held += 1
    return sums[0]  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _leaf_sum(values: NDArray[np.float64], places: NDArray[np.int64], size: int) -> float:
    """Whole groups of eight in a lane for each place in the group, then what is left over."""
    lanes, whole = np.zeros(8), size - size % 8
    for value, place in zip(values, places):  # noqa: B905 - numba knows no strict
        if place < whole:
            lanes[place % 8] += value
    total = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
    for value, place in zip(values, places):  # noqa: B905
        if place >= whole:
            total += value
    return float(total)
