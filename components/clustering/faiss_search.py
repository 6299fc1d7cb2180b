"""Exact neighbour search by faiss, on a CPU or a GPU, and the parts that all searches by faiss share.

faiss' classes of a CPU and of a GPU have one interface, which takes addresses of arrays on their own device. Here
tensors are passed by address, so that the features of a GPU stay there.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from usvi_bench.core.errors import UsageError

TARGET_RECALL = 0.96
"""Share of the true neighbours of a sample of rows that an approximate search has to find (recall)."""
SAMPLE = 500
"""Number of rows that are also searched exactly, to measure the recall."""
LONGEST = 2048
"""Longest list that faiss' exact search on a GPU can make."""

_TEMPORARY = 1 << 28
"""Working memory of faiss on a GPU in bytes."""


def load_faiss(search: str) -> Any:
    """Import faiss.

    Raises:
        UsageError: it is not installed, or its libraries are missing; the message names the extras that install it.
    """
    try:
        return import_module("faiss")
    except ImportError as error:
        raise UsageError(
            f"method.search={search} needs faiss, which cannot be imported ({error}): install one of this package's "
            'extras, pip install ".[cpu]", ".[gpu]" (CUDA 13) or ".[gpu-cu12]", or add --set method.search=exact'
        ) from error


def on_gpu(vectors: Tensor, kind: str) -> bool:
    """Return whether the vectors are on a GPU and the installed faiss has a class ``kind`` for it."""
    return vectors.is_cuda and hasattr(import_module("faiss"), kind)


def flat_search(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the ``k`` nearest rows of every row exactly; each row comes first in its own list.

    Args:
        vectors: ``[N, D]`` float32; on a GPU only if faiss has classes for it.
        k: length of the lists, 1 to ``N``.

    Returns:
        Squared Euclidean distances ``[N, k]`` and rows ``[N, k]`` int64, nearest first.

    Raises:
        UsageError: faiss is missing, or ``k`` is beyond :data:`LONGEST` on a GPU.
    """
    faiss = load_faiss("faiss")
    if vectors.is_cuda and k > LONGEST:
        raise UsageError(
            f"method.k1={k}: faiss finds at most {LONGEST} neighbours on a GPU; add --set method.search=exact"
        )
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = flat_index(vectors.shape[1], vectors.device)
    add(index, vectors)
    return owners_first(*query(index, vectors, k))


def flat_index(dimension: int, device: torch.device) -> Any:
    """Make an empty index of an exact search on a device."""
    faiss = load_faiss("faiss")
    if device.type == "cpu":
        return faiss.IndexFlatL2(dimension)
    config = faiss.GpuIndexFlatConfig()
    config.device = device.index or 0
    return faiss.GpuIndexFlatL2(gpu_resources(), dimension, config)


def add(index: Any, vectors: Tensor) -> None:
    """Add ``[N, D]`` vectors to an index on the same device."""
    faiss = import_module("faiss")
    _wait(vectors)
    index.add_c(len(vectors), faiss.cast_integer_to_float_ptr(vectors.data_ptr()))


def query(index: Any, queries: Tensor, k: int, parameters: Any = None) -> tuple[Tensor, Tensor]:
    """Search an index on the device of the queries ``[B, D]`` and return distances and rows ``[B, k]``.

    Args:
        index: index of any class.
        queries: contiguous float32 vectors.
        k: number of rows to find.
        parameters: faiss' search parameters for this class of index.
    """
    faiss = import_module("faiss")
    distances = queries.new_empty(len(queries), k)
    rows = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
    _wait(queries)
    index.search_c(
        len(queries),
        faiss.cast_integer_to_float_ptr(queries.data_ptr()),
        k,
        faiss.cast_integer_to_float_ptr(distances.data_ptr()),
        faiss.cast_integer_to_idx_t_ptr(rows.data_ptr()),
        parameters,
    )
    _wait(queries)
    return distances, rows


def owners_first(distances: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Move every row to the front of its own list ``[N, k]``; it replaces the last one if it is not in the list.

    >>> owners_first(torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([[1, 0], [2, 0]]))[1]
    tensor([[0, 1],
            [1, 2]])
    """
    owners, places = (
        torch.arange(len(rows), device=rows.device)[:, None],
        torch.arange(rows.shape[1], device=rows.device),
    )
    own = rows == owners
    place = torch.where(own.any(1), own.int().argmax(1), rows.shape[1] - 1)[:, None]
    source = torch.where(places <= place, places - 1, places).clamp(min=0)
    distances, rows = distances.gather(1, source).clamp_(min=0), rows.gather(1, source)
    distances[:, 0], rows[:, 0] = 0, owners[:, 0]
    return distances, rows


def gpu_resources() -> Any:
    """Make faiss' resources of a GPU, with little working memory of their own."""
    resources = import_module("faiss").StandardGpuResources()
    resources.setTempMemory(_TEMPORARY)
    return resources


def _wait(vectors: Tensor) -> None:
    """Wait for the work of torch or faiss on a GPU, because each has a stream of its own."""
    if vectors.is_cuda:
        torch.cuda.synchronize(vectors.device)
