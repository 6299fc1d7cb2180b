"""Compiled loops over the rows of a similarity matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def score_rows(
    start: int,
    stop: int,
    similarity: NDArray[Any],
    columns: Integers,
    positives: Mask,
    ignored: Mask,
    cmc_units: Integers,
    precision: NDArray[np.float64],
    penalty: NDArray[np.float64],
    first_match_rank: Integers,
) -> None:
    """Fill the last three arrays for the valid queries in ``start <= i < stop``."""
    met = np.full(cmc_units.max() + 1, -1)  # the last query that counted each unit
    room = np.empty(len(columns), np.int64)
    for i in range(start, stop):
        row, hidden, number = similarity[i], ignored[i], 0
        for j in range(len(columns)):
            room[number] = j  # overwritten unless j is a ranked positive
            number += positives[i, j] > hidden[j]
        if number == 0:
            continue
        mine = room[:number]
        values = row[columns[mine]]
        order = np.argsort(-values, kind="mergesort")
        mine, values = mine[order], values[order]
        # counts[k]: images ranked behind k positives but not behind the next one; their running sum gives the ranks
        counts = np.zeros(len(mine), np.int64)
        worst, last, others = values[-1], mine[-1], -1
        for j in range(len(columns)):
            value = row[columns[j]]
            if value < worst or hidden[j] or (value == worst and j > last):
                continue
            low, length = 0, len(mine)
            while length > 1:  # without a branch, which would be unpredictable
                half = length // 2
                low += half * (values[low + half - 1] > value)
                length -= half
            low += values[low] > value
            while values[low] == value and mine[low] < j:
                low += 1
            counts[low] += 1
            if low == 0 and met[cmc_units[j]] != i:
                met[cmc_units[j]] = i
                others += 1
        rank, total = 0, 0.0
        for k in range(len(mine)):
            rank += counts[k]
            total += (k + 1) / rank
        precision[i], penalty[i], first_match_rank[i] = total / len(mine), len(mine) / rank, others


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def best_of_rows(
    start: int,
    stop: int,
    similarity: NDArray[Any],
    columns: Integers,
    ignored: Mask,
    images: Integers,
    values: NDArray[np.float64],
) -> None:
    """Insert each image of a row into the list of the best images, behind images of equal similarity."""
    depth = images.shape[1]
    for i in range(start, stop):
        kept = 0
        for j in range(len(columns)):
            value = similarity[i, columns[j]]
            if ignored[i, j] or (kept == depth and not value > values[i, depth - 1]):
                continue
            kept = min(kept + 1, depth)
            k = kept - 1
            while k > 0 and value > values[i, k - 1]:
                images[i, k], values[i, k] = images[i, k - 1], values[i, k - 1]
                k -= 1
            images[i, k], values[i, k] = j, value
