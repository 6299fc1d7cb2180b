"""Approximate neighbour search on a GPU by cuVS' graph (CAGRA, Ootomo et al., ICDE 2024), through faiss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from usvi_bench.components.clustering.faiss_search import (
    SAMPLE,
    TARGET_RECALL,
    add,
    flat_index,
    gpu_resources,
    load_faiss,
    owners_first,
    query,
)
from usvi_bench.core.measuring import record_min

_FEW, _LONGEST_BY_GRAPH = 1000, 256
_NARROW, _WIDE = 64, 512
"""Smallest and largest number of candidates that a search in a graph keeps."""
_GATHERED = 1 << 26
"""Largest number of coordinates of candidates in work at a time."""

Find = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def graph_index(dimension: int, device: torch.device) -> Any:
    """Make an empty index of cuVS' graph search on a GPU."""
    faiss = load_faiss("approximate")
    config = faiss.GpuIndexCagraConfig()
    config.device = device.index or 0
    return faiss.GpuIndexCagra(gpu_resources(), dimension, faiss.METRIC_L2, config)


def graph_search(
    vectors: Tensor, k: int, exactly: Find, new_index: Callable[[int, torch.device], Any] = graph_index
) -> tuple[Tensor, Tensor]:
    """Find the ``k`` nearest rows of every row approximately by a graph; record the ``recall`` on a sample of rows.

    The search keeps twice as many candidates as before until the recall is :data:`TARGET_RECALL`. The rows found are
    compared exactly. Few rows or long lists are searched exactly.

    Args:
        vectors: ``[N, D]`` float32.
        k: length of the lists, 1 to ``N``.
        exactly: exact search of all rows, used instead where a graph does not fit.
        new_index: function that makes an empty index.
    """
    n, dimension = vectors.shape
    if n < _FEW or k > _LONGEST_BY_GRAPH:
        record_min("recall", 1.0)
        return exactly(vectors, k)
    draws = torch.Generator().manual_seed(1)
    sample = torch.randperm(n, generator=draws)[:SAMPLE].sort().values.to(vectors.device)
    exact = flat_index(dimension, vectors.device)
    add(exact, vectors)
    truth = query(exact, vectors[sample], k)[1]
    index = new_index(dimension, vectors.device)
    add(index, vectors)

    def find(queries: Tensor) -> Tensor:
        return query(index, queries, k, _candidates(index, width))[1]

    width = max(_NARROW, 1 << k.bit_length())
    while width < _WIDE and _recall(truth, find(vectors[sample])) < TARGET_RECALL:
        width *= 2
    rows = find(vectors)
    incomplete = torch.nonzero(((rows < 0) | (rows >= n)).any(1)).squeeze(1)
    rows[incomplete] = query(exact, vectors[incomplete], k)[1] if len(incomplete) else rows[incomplete]
    distances, rows = _compare(vectors, rows)
    record_min("recall", _recall(truth, rows[sample]))
    return distances, rows


def _compare(vectors: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the distances of lists ``[N, k]`` exactly and sort them, every row first in its own list."""
    rows = owners_first(torch.zeros_like(rows, dtype=torch.float32), rows)[1]
    step = max(1, _GATHERED // (rows.shape[1] * vectors.shape[1]))
    parts = [
        (vectors[start : start + step, None] - vectors[rows[start : start + step]]).square().sum(2)
        for start in range(0, len(rows), step)
    ]
    distances = torch.cat(parts)
    distances[:, 0] = -1
    distances, order = distances.sort(dim=1, stable=True)
    return distances.clamp_(min=0), rows.gather(1, order)


def _recall(truth: Tensor, found: Tensor) -> float:
    return float((truth[:, :, None] == found[:, None]).any(2).float().mean())


def _candidates(index: Any, width: int) -> Any:
    """Make the search parameters of a graph on a GPU, or of faiss' graph on a CPU, which tests use."""
    faiss = load_faiss("approximate")
    if isinstance(index, faiss.IndexHNSW):
        parameters = faiss.SearchParametersHNSW()
        parameters.efSearch = width
    else:
        parameters = faiss.SearchParametersCagra()
        parameters.itopk_size = width
    return parameters
