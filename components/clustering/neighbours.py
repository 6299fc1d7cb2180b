"""Nearest neighbours of every image among all images, by one of several kinds of search."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from usvi_bench.components.clustering.faiss_search import flat_search, load_faiss, on_gpu
from usvi_bench.components.clustering.graph_search import graph_search
from usvi_bench.core.measuring import timed
from usvi_bench.core.progress import SEARCH, report_progress

Search = Literal["auto", "exact", "faiss", "approximate"]
"""Kind of neighbour search; ``auto`` is exact on a GPU, and on a CPU up to :data:`EXACT_UP_TO` images."""
NEED_FAISS = ("faiss", "approximate")
"""Searches that need faiss."""

EXACT_UP_TO = 200_000
"""Number of images up to which an exact search on a CPU takes minutes; time grows with the square of the number."""

_BLOCK_ENTRIES = 1 << 28
"""Number of distances held at a time on a GPU (1 GiB)."""


def nearest(features: Tensor, k: int, search: Search = "auto") -> tuple[Tensor, Tensor]:
    """Find the ``k`` nearest images of every image, the image itself included.

    An image stays in its own list even if it has duplicates. The order of exactly equal distances is not specified. On
    a CPU the search uses as many threads as torch.

    Args:
        features: ``[N, D]`` features, used without normalisation.
        k: length of the lists, 1 to ``N``.
        search: ``exact``; ``faiss``, which is exact too; ``approximate``; or ``auto``, which is exact if that takes no
            more than minutes. ``faiss`` and ``approximate`` need faiss, and run on a CPU if the installed one has no
            class for a GPU.

    Returns:
        Squared Euclidean distances ``[N, k]`` float32, ascending, and rows ``[N, k]`` int64, on the features' device.

    Raises:
        ValueError: an argument is out of range, or a feature is not finite.
        UsageError: faiss is needed and missing.
    """
    if not 1 <= k <= len(features):
        raise ValueError(f"k={k} neighbours of {len(features)} images; choose 1 to {len(features)}")
    if search not in get_args(Search):
        raise ValueError(f"unknown search '{search}': choose one of {', '.join(get_args(Search))}")
    if features.ndim != 2:
        raise ValueError(f"features of shape {tuple(features.shape)}; give [N, D]")
    vectors = features.detach().float().contiguous()
    if not all_finite(vectors) or not all_finite(torch.linalg.vector_norm(vectors, dim=1)):
        wrong = "features hold NaN, infinity or lengths beyond float32 because the network has diverged"
        raise ValueError(f"{wrong}; lower the learning rate")
    with timed("search"):
        if search == "approximate" or (search == "auto" and _too_many(vectors)):
            found = _approximate(vectors, k)
        elif search == "faiss":
            found = _by_faiss(vectors, k)
        elif vectors.is_cuda:
            found = blocked_search(vectors, k)
        else:
            found = _symmetric(vectors, k)
        if vectors.is_cuda:
            torch.cuda.synchronize(vectors.device)  # so that the search is timed here and not at the next wait
    return found[0].to(features.device), found[1].to(features.device)


def check_search(search: str) -> None:
    """Check before any work that a search is possible here.

    Raises:
        UsageError: it needs faiss, which is missing.
    """
    if search in NEED_FAISS:
        load_faiss(search)


def _approximate(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    check_search("approximate")
    if on_gpu(vectors, "GpuIndexCagra"):
        return graph_search(vectors, k, blocked_search)
    from usvi_bench.components.clustering.approximate_search import approximate_search  # compiled kernels load slowly

    distances, rows = approximate_search(vectors.cpu().numpy(), k)
    return torch.from_numpy(distances), torch.from_numpy(rows).long()


def _by_faiss(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    check_search("faiss")
    return flat_search(vectors if on_gpu(vectors, "GpuIndexFlatL2") else vectors.cpu(), k)


def _symmetric(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    from usvi_bench.components.clustering.symmetric_search import symmetric_search  # compiled kernels load slowly

    distances, rows = symmetric_search(vectors.numpy(), k)
    return torch.from_numpy(distances), torch.from_numpy(rows).long()


def all_finite(features: Tensor) -> bool:
    """Return True if no entry is NaN or infinite; a finite sum proves it without a check of each entry."""
    return bool(features.sum().isfinite()) or bool(features.isfinite().all())


def _too_many(vectors: Tensor) -> bool:
    return not vectors.is_cuda and len(vectors) > EXACT_UP_TO


def blocked_search(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Search exactly by blocks of the distance matrix, on the device of ``vectors``; see :func:`nearest`."""
    squares = vectors.square().sum(1)
    blocks = []
    step = max(1, _BLOCK_ENTRIES // len(vectors))
    for start in range(0, len(vectors), step):
        report_progress(SEARCH, start, len(vectors))
        rows = slice(start, start + step)
        with torch.autocast(vectors.device.type, enabled=False):
            distances = torch.addmm(squares, vectors[rows], vectors.T, alpha=-2)
        distances.add_(squares[rows, None]).clamp_(min=0)
        distances.diagonal(start).fill_(-1)  # puts an image first in its own list in spite of rounding
        blocks.append(distances.topk(k, largest=False))
        del distances  # before the next block is made
    report_progress(SEARCH, len(vectors), len(vectors))
    return torch.cat([b.values for b in blocks]).clamp_(min=0), torch.cat([b.indices for b in blocks])
