"""Lists of the nearest rows found so far, and the compiled loops that fill them.

A list is a row of ``distances`` and of ``rows``. It is a heap with the farthest member on top, so that one comparison
decides whether another row enters. At equal distance the smaller row number is nearer, so lists do not depend on the
order in which rows are offered. The owner of a list is always its nearest member, in spite of rounding.

Most offers would go to lists that are still empty. For these a block first gives an upper bound: of ``k`` groups of its
entries, each has an entry that is no farther than the ``k``-th smallest of all smallest entries of groups. Entries
beyond the bound cannot be in the list, so the bound changes no list.

All kernels are in one file, because numba's cache on disk does not detect a change in another file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int32]

OWNER = np.float32(-1)
"""Distance of the owner of a list while the list is filled."""


def empty_lists(n: int, k: int, owners: NDArray[np.integer[Any]]) -> tuple[Floats, Rows]:
    """Make empty lists that contain only their own row ``[n]``."""
    distances, rows = np.full((n, k), np.inf, np.float32), np.full((n, k), np.iinfo(np.int32).max, np.int32)
    distances[:, -1], rows[:, -1] = OWNER, owners  # the last place is a leaf of the heap
    return distances, rows


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def feed_rows(
    start: int, stop: int, products: Floats, top: int, left: int, squares: Floats, distances: Floats, rows: Rows
) -> None:
    """Offer every column of a block of inner products to the lists of rows ``start <= i < stop``.

    Args:
        start: first list to fill.
        stop: end of the lists to fill.
        products: inner products of rows ``top ...`` with rows ``left ...``.
        top: number of the block's first row.
        left: number of the block's first column.
        squares: squared length of every vector.
        distances: all lists ``[N, k]``.
        rows: all lists ``[N, k]``.
    """
    two, k = np.float32(2), distances.shape[1]
    other = squares[left : left + products.shape[1]]
    near, words = _flags(products.shape[1])
    smallest = np.empty(_groups(k, products.shape[1]), np.float32)
    for i in range(start, stop):
        line, own, farthest = products[i - top], squares[i], distances[i, 0]
        if len(smallest) and farthest == np.inf:
            smallest[:] = np.inf
            for first in range(0, len(line) - len(smallest) + 1, len(smallest)):
                for g in range(len(smallest)):
                    distance = own + other[first + g] - two * line[first + g]
                    smallest[g] = distance if distance < smallest[g] else smallest[g]
            farthest = _bound(smallest, k)
        for c in range(len(line)):
            near[c] = own + other[c] - two * line[c] <= farthest
        for w in range(len(words)):
            if words[w]:
                for c in range(8 * w, 8 * w + 8):
                    if near[c] and left + c != i:
                        _offer(distances[i], rows[i], own + other[c] - two * line[c], left + c)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def feed_columns(
    start: int, stop: int, products: Floats, top: int, left: int, squares: Floats, distances: Floats, rows: Rows
) -> None:
    """Offer every row of a block of inner products to the lists of columns ``start <= j < stop``; see feed_rows."""
    two = np.float32(2)
    other, farthest = squares[start:stop], distances[start:stop, 0].copy()
    if np.any(farthest == np.inf):
        _bound_columns(farthest, products[:, start - left : stop - left], squares[top:], other, distances.shape[1])
    near, words = _flags(stop - start)
    for r in range(len(products)):
        line, own = products[r, start - left : stop - left], squares[top + r]
        for c in range(len(line)):
            near[c] = own + other[c] - two * line[c] <= farthest[c]
        for w in range(len(words)):
            if words[w]:
                for c in range(8 * w, 8 * w + 8):
                    if near[c]:
                        j = start + c
                        _offer(distances[j], rows[j], own + other[c] - two * line[c], top + r)
                        farthest[c] = min(farthest[c], distances[j, 0])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def feed_candidates(
    start: int,
    stop: int,
    vectors: Floats,
    owners: NDArray[np.int64],
    candidates: NDArray[np.int64],
    distances: Floats,
    rows: Rows,
) -> None:
    """Compare each of some rows with its own candidates.

    Args:
        start: first list to fill.
        stop: end of the lists to fill.
        vectors: all vectors ``[N, D]``.
        owners: ``[B]`` the row that each list belongs to.
        candidates: ``[B, C]`` rows to compare it with, without repetition; -1 is skipped.
        distances: lists ``[B, k]``.
        rows: lists ``[B, k]``.
    """
    for p in range(start, stop):
        i = owners[p]
        for j in candidates[p]:
            if j >= 0 and j != i:
                _offer(distances[p], rows[p], _squared_distance(vectors[i], vectors[j]), j)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def feed_neighbours(start: int, stop: int, vectors: Floats, known: Rows, distances: Floats, rows: Rows) -> None:
    """Compare rows ``start <= i < stop`` with the neighbours of their nearest neighbours.

    Args:
        start: first list to fill.
        stop: end of the lists to fill.
        vectors: all vectors ``[N, D]``.
        known: sorted lists of all rows ``[N, k]``, which are only read.
        distances: distances of the same lists as heaps ``[N, k]``, which are filled.
        rows: rows of the same lists as heaps ``[N, k]``, which are filled.
    """
    near = (known.shape[1] + 1) // 2
    met = np.full(len(vectors), -1, np.int32)  # the last row that each row was compared with
    for i in range(start, stop):
        met[known[i]] = i
        for a in known[i, 1:near]:
            for j in known[a]:
                if met[j] != i:
                    met[j] = i
                    _offer(distances[i], rows[i], _squared_distance(vectors[i], vectors[j]), j)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def sort_lists(start: int, stop: int, distances: Floats, rows: Rows) -> None:
    """Sort the lists of rows ``start <= i < stop``, nearest first; after that they are no heaps."""
    for i in range(start, stop):
        order = np.argsort(rows[i])
        order = order[np.argsort(distances[i][order], kind="mergesort")]
        distances[i], rows[i] = distances[i][order], rows[i][order]
        distances[i, 0] = max(distances[i, 0], np.float32(0))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _offer(heap: Floats, members: Rows, distance: np.float32, row: int) -> None:
    """Replace the farthest member of a list by a row that is nearer."""
    distance = max(distance, np.float32(0))
    if distance > heap[0] or (distance == heap[0] and row > members[0]):
        return
    k, hole = len(heap), 0
    while True:
        child = 2 * hole + 1
        if child >= k:
            break
        if child + 1 < k and (
            heap[child + 1] > heap[child] or (heap[child + 1] == heap[child] and members[child + 1] > members[child])
        ):
            child += 1
        if heap[child] < distance or (heap[child] == distance and members[child] < row):
            break
        heap[hole], members[hole] = heap[child], members[child]
        hole = child
    heap[hole], members[hole] = distance, row


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _squared_distance(a: Floats, b: Floats) -> np.float32:
    total = np.float32(0)
    for d in range(len(a)):
        total += (a[d] - b[d]) * (a[d] - b[d])
    return total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _flags(length: int) -> Any:
    """Return a flag for each entry of a line, and a view of eight flags a word, to skip empty words at once."""
    flags = np.zeros((length + 7) // 8 * 8, np.bool_)
    return flags, flags.view(np.uint64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _groups(k: int, entries: int) -> int:
    """Return the number of groups of entries that bound a list of ``k``; 0 if there are too few entries to gain."""
    groups = 8 * ((4 * k + 7) // 8)
    return groups if entries >= 2 * groups else 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _bound(smallest: Floats, k: int) -> np.float32:
    """Return the ``k``-th smallest of the smallest distances of groups; below 0, all distances count as 0."""
    return max(np.partition(smallest, k - 1)[k - 1], np.float32(0))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _bound_columns(farthest: Floats, products: Floats, own: Floats, other: Floats, k: int) -> None:
    """Lower ``farthest`` ``[C]`` of columns whose lists are not full to the bound by a block ``[R, C]``."""
    two = np.float32(2)
    smallest = np.full((_groups(k, len(products)), len(farthest)), np.inf, np.float32)
    for r in range(len(products) if len(smallest) else 0):
        line, least = products[r], smallest[r % len(smallest)]
        for c in range(len(line)):
            distance = own[r] + other[c] - two * line[c]
            least[c] = distance if distance < least[c] else least[c]
    for c in range(len(farthest) if len(smallest) else 0):
        if farthest[c] == np.inf:
            farthest[c] = _bound(smallest[:, c], k)
