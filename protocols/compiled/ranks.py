"""Compiled loops over the rows of a similarity matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def rank_rows(
    start: int,
    stop: int,
    similarity: NDArray[Any],
    columns: Integers,
    groups: Integers,
    cmc_units: Integers,
    query_groups: Integers,
    positives: Integers,
    ends: Integers,
    rank: Integers,
    position: Integers,
    first_match_rank: Integers,
) -> None:
    """Fill ``rank``, ``position`` and ``first_match_rank`` of the queries ``start <= i < stop``."""
    met = np.full(cmc_units.max() + 1, -1)  # the last query that met each unit
    for i in range(start, stop):
        mine = positives[ends[i] : ends[i + 1]]
        if len(mine) == 0:
            continue
        row = similarity[i]
        values = row[columns[mine]]
        order = np.argsort(-values, kind="mergesort")
        mine, values = mine[order], values[order]
        # Counts of the images behind k positives and before the next, which then add up to ranks.
        seen, every = rank[ends[i] : ends[i + 1]], position[ends[i] : ends[i + 1]]
        worst, last, others = values[-1], mine[-1], -1
        for j in range(len(columns)):
            value = row[columns[j]]
            if value < worst or (value == worst and j > last):
                continue
            low, length = 0, len(mine)
            while length > 1:  # no branch on the outcome, which nothing predicts
                half = length // 2
                low += half * (values[low + half - 1] > value)
                length -= half
            low += values[low] > value
            while values[low] == value and mine[low] < j:
                low += 1
            every[low] += 1
            if groups[j] != query_groups[i]:
                seen[low] += 1
                if low == 0 and met[cmc_units[j]] != i:
                    met[cmc_units[j]] = i
                    others += 1
        seen[:] = np.cumsum(seen)
        every[:] = np.cumsum(every) - 1
        first_match_rank[i] = others


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def best_of_rows(
    start: int,
    stop: int,
    similarity: NDArray[Any],
    columns: Integers,
    groups: Integers,
    query_groups: Integers,
    images: Integers,
    values: NDArray[np.float64],
) -> None:
    """Insert each image of a row among the best so far, behind its equals."""
    depth = images.shape[1]
    for i in range(start, stop):
        kept = 0
        for j in range(len(columns)):
            value = similarity[i, columns[j]]
            if groups[j] == query_groups[i] or (kept == depth and not value > values[i, depth - 1]):
                continue
            kept = min(kept + 1, depth)
            k = kept - 1
            while k > 0 and value > values[i, k - 1]:
                images[i, k], values[i, k] = images[i, k - 1], values[i, k - 1]
                k -= 1
            images[i, k], values[i, k] = j, value
