"""Exact nearest neighbours, in memory linear in the number of images."""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import faiss

    _HAS_FAISS = True
except ImportError:  # an extra of the installation; torch does the same search
    _HAS_FAISS = False

_BLOCK_ENTRIES = 1 << 24
"""Distances held at a time by the torch search (64 MiB)."""


def nearest(features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` nearest images of every image, itself among them.

    The order of exactly equal distances is not specified, but an image is never pushed out of its own list by
    its duplicates. As many threads work as torch is set to use.

    Args:
        features: ``[N, D]``, used as given.
        k: list length, 1 to ``N``.

    Returns:
        Squared Euclidean distances ``[N, k]`` float32, ascending, and rows ``[N, k]`` int64, both on the CPU.

    Raises:
        ValueError: ``k`` is out of range, or a feature is not finite.
    """
    if not 1 <= k <= len(features):
        raise ValueError(f"k={k} neighbours of {len(features)} images; choose 1 to {len(features)}")
    vectors = features.detach().float().cpu().contiguous()
    if not vectors.isfinite().all():
        raise ValueError("features hold NaN or infinity; the network that made them has diverged")
    return _keep_self(*(_search_faiss(vectors, k) if _HAS_FAISS else _search_torch(vectors, k)))


def _search_faiss(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    faiss.omp_set_num_threads(torch.get_num_threads())
    distances, indices = faiss.knn(vectors.numpy(), vectors.numpy(), k)
    return torch.from_numpy(distances), torch.from_numpy(indices)


def _search_torch(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    squares = vectors.square().sum(1)
    blocks = []
    step = max(1, _BLOCK_ENTRIES // len(vectors))
    for start in range(0, len(vectors), step):
        rows = slice(start, start + step)
        distances = torch.addmm(squares, vectors[rows], vectors.T, alpha=-2).add_(squares[rows, None])
        blocks.append(distances.clamp_(min=0).topk(k, largest=False))
    return torch.cat([block.values for block in blocks]), torch.cat([block.indices for block in blocks])


def _keep_self(distances: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Put an image in front of its list where more than ``k`` duplicates displaced it."""
    rows = torch.arange(len(indices))
    lost = rows[~(indices == rows[:, None]).any(1)]
    distances[lost] = torch.cat([torch.zeros(len(lost), 1), distances[lost, :-1]], 1)
    indices[lost] = torch.cat([lost[:, None], indices[lost, :-1]], 1)
    return distances, indices
