"""Scores of each query, computed from the ranks of its positives.

There are two back-ends: a compiled one for the CPU, which counts instead of sorting, and one in torch, which sorts on
the device of the similarity. Ranks are exact in both. Averages may differ in their last digits, because the order of
summation is not fixed. Of two images with equal similarity, the earlier one in the gallery ranks first.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
RankColumns = tuple[NDArray[np.float64], NDArray[np.float64], Integers]
"""AP, INP and zero-based rank of the first match in the CMC ``[Q]``; NaN, NaN and -1 where a query is invalid."""


def score_queries(
    similarity: Tensor, columns: Integers, positives: Mask, ignored: Mask, cmc_units: Integers
) -> RankColumns:
    """Score each query in one gallery, on the device of the similarity.

    Args:
        similarity: ``[Q, N]``, contiguous, without NaN.
        columns: ``[G]`` column of ``similarity`` for each gallery image.
        positives: ``[Q, G]``, contiguous.
        ignored: ``[Q, G]``, contiguous.
        cmc_units: ``[G]``, from 0 without a gap.
    """
    back_end = compiled_scores if similarity.device.type == "cpu" else torch_scores
    return back_end(similarity, columns, positives, ignored, cmc_units)


def compiled_scores(
    similarity: Tensor, columns: Integers, positives: Mask, ignored: Mask, cmc_units: Integers
) -> RankColumns:
    """Score each query on the CPU: one compiled pass over each row, in as many threads as torch uses."""
    from usvi_bench.protocols.compiled.ranks import score_rows  # slow to import

    count = len(similarity)
    scores = np.full(count, np.nan), np.full(count, np.nan), np.full(count, -1)
    _in_threads(score_rows, count, similarity.numpy(), columns, positives, ignored, cmc_units, *scores)
    return scores


def torch_scores(
    similarity: Tensor, columns: Integers, positives: Mask, ignored: Mask, cmc_units: Integers
) -> RankColumns:
    """Score each query on an accelerator, with torch operations that follow the definition."""
    own, right, hidden, units = (
        torch.from_numpy(array).to(similarity.device) for array in (columns, positives, ignored, cmc_units)
    )
    order = similarity[:, own].argsort(dim=1, descending=True, stable=True)
    seen = ~hidden.gather(1, order)
    right = right.gather(1, order) & seen
    rank, found = seen.cumsum(1), right.cumsum(1)  # both from 1 at the first positive
    number = found[:, -1]
    precision = torch.where(right, found.double() / rank, 0).sum(1) / number
    penalty = number.double() / (rank * right).amax(1)
    before = seen & (found - right.long() == 0)  # up to and with the first positive
    met = torch.zeros(len(order), int(units.max()) + 1, dtype=torch.int32, device=order.device)
    met.scatter_add_(1, units[order], before.int())
    first = torch.where(number > 0, (met > 0).sum(1) - 1, -1)
    return precision.cpu().numpy(), penalty.cpu().numpy(), first.cpu().numpy()


def best_images(
    similarity: Tensor, columns: Integers, positives: Mask, ignored: Mask, depth: int
) -> tuple[Integers, NDArray[np.float64], Mask]:
    """Return the first images of each ranking, ``[Q, min(depth, G)]``, their similarity, and whether they match.

    The values are -1, NaN and False where fewer images are ranked.
    """
    shape = len(similarity), min(depth, len(columns))
    images, values = np.full(shape, -1), np.full(shape, np.nan)
    if depth:
        from usvi_bench.protocols.compiled.ranks import best_of_rows

        _in_threads(best_of_rows, len(similarity), similarity.cpu().numpy(), columns, ignored, images, values)
    return images, values, np.take_along_axis(positives, images, axis=1) & (images >= 0)


def _in_threads(kernel: Callable[..., None], count: int, *arguments: Any) -> None:
    """Run a kernel over ``count`` rows, in as many threads as torch uses."""
    spans = pairwise(np.linspace(0, count, torch.get_num_threads() + 1).astype(int).tolist())
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(lambda span: kernel(*span, *arguments), spans))
