"""Ranked lists: the gallery rows that are most similar to each query."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

FAISS_ABOVE = 100_000
"""Number of gallery rows above which faiss searches, if it is installed."""
SPARE = 64
"""Number of further rows that faiss finds, so that equal similarities at the end of a list are ordered by row."""
QUERIES, ROWS = 256, 8192
"""Number of queries and of gallery rows whose similarities are held at a time."""
Lists = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Gallery rows ``[Q, top]`` of each query and their similarities ``[Q, top]``, best first."""


def ranked_lists(queries: NDArray[np.float32], gallery: NDArray[np.float32], top: int) -> Lists:
    """Find the ``top`` gallery rows with the largest dot products; equal products are ordered by row.

    Products are summed in float64 and rounded to float32, so that they do not depend on the search or its blocks.

    >>> rows, similarity = ranked_lists(np.eye(2, dtype=np.float32)[:1], np.eye(2, dtype=np.float32)[[1, 0, 0]], 2)
    >>> rows.tolist(), similarity.tolist()
    ([[1, 2]], [[1.0, 1.0]])

    Args:
        queries: ``[Q, D]`` unit features.
        gallery: ``[N, D]`` unit features.
        top: length of the lists; at most ``N`` rows are found.
    """
    top = min(top, len(gallery))
    if len(gallery) > FAISS_ABOVE and find_spec("faiss") is not None:
        return faiss_lists(queries, gallery, top)
    return exact_lists(queries, gallery, top)


def exact_lists(queries: NDArray[np.float32], gallery: NDArray[np.float32], top: int) -> Lists:
    """Find ranked lists in blocks; see :func:`ranked_lists`."""
    parts = [_block_of_queries(queries[i : i + QUERIES], gallery, top) for i in range(0, len(queries), QUERIES)]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([values for _, values in parts])


def faiss_lists(queries: NDArray[np.float32], gallery: NDArray[np.float32], top: int) -> Lists:
    """Find ranked lists by faiss' exact search; see :func:`ranked_lists`."""
    index = import_module("faiss").IndexFlatIP(gallery.shape[1])
    index.add(np.ascontiguousarray(gallery))
    _, found = index.search(np.ascontiguousarray(queries), min(top + SPARE, len(gallery)))
    rows = np.sort(found, axis=1).astype(np.int64)
    values = [
        (gallery[each].astype(np.float64) @ query).astype(np.float32) for each, query in zip(rows, queries, strict=True)
    ]
    return _first(rows, np.stack(values), top)


def _block_of_queries(queries: NDArray[np.float32], gallery: NDArray[np.float32], top: int) -> Lists:
    """Merge the best rows so far with those of one gallery block after another."""
    rows = np.empty((len(queries), 0), np.int64)
    values = np.empty((len(queries), 0), np.float32)
    wide = queries.astype(np.float64)
    for start in range(0, len(gallery), ROWS):
        block = gallery[start : start + ROWS].astype(np.float64)
        new = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        rows, values = np.hstack([rows, new]), np.hstack([values, (wide @ block.T).astype(np.float32)])
        rows, values = _first(rows, values, min(top, rows.shape[1]))
    return rows, values


def _first(rows: NDArray[np.int64], values: NDArray[np.float32], top: int) -> Lists:
    """Return the best ``top`` of each list, best first; equal values stay in their order, which is that of the rows."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(values, order, 1)
