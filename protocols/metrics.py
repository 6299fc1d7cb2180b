"""Retrieval metrics computed from masks: CMC, mAP, mINP.

Besides the similarity, a metric reads which gallery images match a query (positives), which are left out of its ranking
(ignored), and which unit each gallery image belongs to. It does not depend on a data set. The CMC counts a unit at most
once: if units are identities, a wrong person costs one rank, however many images of that person there are. AP and INP
always count images. INP: Ye et al., TPAMI 2021. The masks are those of open-metric-learning's
``calc_retrieval_metrics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.core.progress import report_progress
from usvi_bench.protocols.masks import RetrievalMasks, as_array
from usvi_bench.protocols.ranks import RankColumns, best_images, score_queries

BLOCK = 1 << 24
"""Number of query-gallery pairs that are compared at once."""
ROWS = 32
"""Least number of queries that are compared at once, however long the gallery is."""


@dataclass(frozen=True, eq=False)
class RankMetrics:
    """Ranking metrics of all queries in one gallery, as fractions.

    Attributes:
        cmc: share of valid queries with a match within the first ranks; index 0 is Rank-1.
        mAP: mean average precision of the valid queries.
        mINP: mean inverse negative penalty of the valid queries.
        average_precision: ``[Q]`` average precision of each query; NaN where it is invalid.
        first_match_rank: ``[Q]`` zero-based rank of the first match in the CMC; -1 where the query is invalid.
    """

    cmc: NDArray[np.float64]
    mAP: float  # noqa: N815 - the field's own spelling
    mINP: float  # noqa: N815
    average_precision: NDArray[np.float64]
    first_match_rank: NDArray[np.int64]

    def rank(self, k: int) -> float:
        """Return Rank-k; beyond the end of a short CMC, return its last value."""
        if not isinstance(k, (int, np.integer)) or k < 1:
            raise ValueError(f"rank {k!r:.40}: give a whole number; ranks start at 1")
        return float(self.cmc[min(k, len(self.cmc)) - 1])


@dataclass(frozen=True, eq=False)
class GalleryScores:
    """Scores of several galleries, and the ranked lists of the first.

    Attributes:
        metrics: one entry per gallery.
        columns: ``[Q, min(depth, G)]`` first gallery images of a query, best first; -1 where fewer are ranked.
        similarity: similarity of these images; NaN where ``columns`` is -1.
        matches: whether these images are positives of the query; False where ``columns`` is -1.
    """

    metrics: tuple[RankMetrics, ...]
    columns: NDArray[np.int64]
    similarity: NDArray[Any]
    matches: NDArray[np.bool_]


def retrieval_metrics(similarity: Any, positives: Any, ignored: Any = None, cmc_units: Any = None) -> RankMetrics:
    """Score a similarity matrix by masks; equal similarities keep the order of the gallery.

    Ignored images are left out of the ranking. A query without a positive in its ranking is invalid and left out of all
    means. In the CMC, the zero-based rank of the first match is the number of other units with a better image.

    Below, the positives of one query are the third and the fourth of five images. They rank third and fourth: AP is the
    mean of 1/3 and 2/4, INP is 2/4. If the best image is ignored, they rank second and third: AP is the mean of 1/2 and
    2/3, INP is 2/3. If the two best images are one unit, the first match has rank 2 of the CMC.

    >>> similarity, positives = [[0.9, 0.8, 0.7, 0.6, 0.5]], [[False, False, True, True, False]]
    >>> scores = retrieval_metrics(similarity, positives)
    >>> round(scores.mAP, 4), scores.mINP, scores.cmc.tolist()
    (0.4167, 0.5, [0.0, 0.0, 1.0, 1.0, 1.0])
    >>> scores = retrieval_metrics(similarity, positives, ignored=[[True, False, False, False, False]])
    >>> round(scores.mAP, 4), round(scores.mINP, 4)
    (0.5833, 0.6667)
    >>> retrieval_metrics(similarity, positives, cmc_units=[6, 6, 5, 5, 7]).cmc.tolist()
    [0.0, 1.0, 1.0]

    Args:
        similarity: ``[Q, G]``, higher is better; numpy or torch, like all arguments.
        positives: see :class:`~usvi_bench.protocols.masks.RetrievalMasks`.
        ignored: see there.
        cmc_units: see there.

    Raises:
        ValueError: shapes or types do not fit, a similarity is NaN, or no query is valid.
    """
    check_plain("similarity", similarity)
    scores = similarity if isinstance(similarity, Tensor) else np.asarray(similarity)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"similarity must be [queries, gallery], neither empty; it is {tuple(scores.shape)}")
    size = scores.shape[0], scores.shape[1]
    everything = RetrievalMasks(*RetrievalMasks(positives, ignored).arrays(size), cmc_units)

    def masks(rows: slice, _: int) -> RetrievalMasks:
        return RetrievalMasks(everything.positives[rows], everything.ignored[rows], cmc_units)

    return _scored(_blocks(size, lambda rows: _tensor(scores[rows])), [np.arange(size[1])], masks, depth=0).metrics[0]


MasksOf = Callable[[slice, int], RetrievalMasks]
"""Function that returns the masks of some queries in a gallery, from the queries' rows and the gallery's number."""


def score_galleries(
    queries: Any, candidates: Any, galleries: Sequence[Any], masks: MasksOf, *, depth: int = 0
) -> GalleryScores:
    """Score features by their dot product in several galleries, which are subsets of the same candidates.

    The scores are computed on the device and in the precision of the features, in blocks of queries. The memory beyond
    the arguments grows with ``N``, not with ``Q x N``.

    Args:
        queries: ``[Q, D]`` features.
        candidates: ``[N, D]`` features.
        galleries: rows of ``candidates``, one array per gallery; images of equal similarity are ranked in this order.
        masks: called for each block of queries. Its ``cmc_units`` are used from the first block of a gallery only.
        depth: length of the ranked lists of the first gallery.

    Raises:
        ValueError: see :func:`retrieval_metrics`; also if there is no query or gallery, or a gallery is empty.
    """
    check_plain("queries", queries)
    check_plain("candidates", candidates)
    probes, pool = _tensor(queries), _tensor(candidates)
    if probes.ndim != 2 or pool.ndim != 2 or probes.shape[1] != pool.shape[1] or probes.dtype != pool.dtype:
        sides = " and ".join(f"{tuple(side.shape)} {side.dtype}" for side in (probes, pool))
        raise ValueError(f"features must be [queries, D] and [candidates, D] of one type; they are {sides}")
    rows = [as_array(f"galleries[{number}]", gallery) for number, gallery in enumerate(galleries)]
    for number, gallery in enumerate(rows):
        _check_rows(f"galleries[{number}]", gallery, len(pool))
    if not rows or not all(map(len, rows)) or not len(probes):
        sizes = list(map(len, rows))
        raise ValueError(f"{len(probes)} queries, galleries of {sizes} images: give at least one of each")
    used, place = np.unique(np.concatenate(rows).astype(np.int64), return_inverse=True)  # uint8 would be a mask
    used = np.pad(used, (0, -len(used) % 16), mode="edge")  # products of odd widths take 1.5 times as long
    if not np.array_equal(used, np.arange(len(pool))):
        pool = pool[torch.from_numpy(used).to(pool.device)]
    places = np.split(place, np.cumsum([len(gallery) for gallery in rows])[:-1])
    blocks = _blocks((len(probes), len(pool)), lambda part: probes[part] @ pool.T)
    return _scored(blocks, places, masks, depth)


Blocks = Iterator[tuple[slice, Tensor]]
"""Blocks of queries, each with the contiguous similarity to all candidates."""


def query_blocks(count: int, width: int, multiple: int = 1) -> Iterator[slice]:
    """Yield the rows of blocks of queries that are compared at once.

    Args:
        count: number of queries.
        width: number of images that each is compared with.
        multiple: number of which the size of each block, except the last, is a multiple; a divisor of :data:`ROWS`.
    """
    step = max(ROWS, BLOCK // max(width, 1))
    step -= step % multiple
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def score_blocks(blocks: Blocks, gallery: int, masks: Callable[[slice], RetrievalMasks]) -> RankMetrics:
    """Score one gallery from blocks of similarities, such as re-ranked ones.

    Args:
        blocks: consecutive blocks of all queries.
        gallery: number of gallery images.
        masks: called for each block of queries. The ``cmc_units`` are used from the first block only.
    """
    return _scored(blocks, [np.arange(gallery)], lambda rows, _: masks(rows), depth=0).metrics[0]


def _scored(blocks: Blocks, galleries: Sequence[NDArray[np.int64]], masks: MasksOf, depth: int) -> GalleryScores:
    """Score galleries, each given as columns of the similarity."""
    lists, parts = [], [list[RankColumns]() for _ in galleries]
    units: list[NDArray[np.int64]] = []
    for rows, block in blocks:
        for number, columns in enumerate(galleries):
            given = masks(rows, number)
            if len(units) == number:
                units.append(given.units(len(columns)))
            positives, ignored = given.arrays((len(block), len(columns)))
            if number == 0:
                lists.append(best_images(block, columns, positives, ignored, depth))
            parts[number].append(score_queries(block, columns, positives, ignored, units[number]))
    metrics = [_summary(part, int(own.max()) + 1) for part, own in zip(parts, units, strict=True)]
    return GalleryScores(tuple(metrics), *map(np.concatenate, zip(*lists, strict=True)))


def _summary(parts: Sequence[RankColumns], length: int) -> RankMetrics:
    precision, penalty, first_match_rank = map(np.concatenate, zip(*parts, strict=True))
    valid = first_match_rank >= 0
    if not valid.any():
        raise ValueError("no valid query: no query has a matching gallery image that is not ignored")
    return RankMetrics(
        cmc=np.cumsum(np.bincount(first_match_rank[valid], minlength=length)) / valid.sum(),
        mAP=float(precision[valid].mean()),
        mINP=float(penalty[valid].mean()),
        average_precision=precision,
        first_match_rank=first_match_rank,
    )


def _blocks(size: tuple[int, int], similarity: Callable[[slice], Tensor]) -> Blocks:
    report_progress("scoring queries", 0, size[0])
    for rows in query_blocks(*size):
        block = similarity(rows)
        if block.amin().isnan():
            where = f"rows {rows.start} to {rows.stop - 1}"
            raise ValueError(f"similarity holds NaN in {where}; give features that are finite")
        yield rows, block
        report_progress("scoring queries", rows.stop, size[0])


def _check_rows(name: str, rows: NDArray[Any], count: int) -> None:
    """Refuse a gallery that is no list of row numbers; a mask of booleans would select rows 0 and 1.

    Raises:
        ValueError: names the type, or the numbers out of range.
    """
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(f"{name} must be row numbers [G]; it is {rows.dtype} of {rows.shape} (use np.flatnonzero)")
    if rows.size and not 0 <= rows.min() <= rows.max() < count:
        raise ValueError(f"{name} has rows {rows.min()} to {rows.max()}; candidates has rows 0 to {count - 1}")


def check_plain(name: str, values: Any) -> None:
    """Refuse masked, complex, sparse and other arrays whose numbers cannot be compared.

    Raises:
        ValueError: names the type.
    """
    if isinstance(values, Tensor):
        odd = values.is_meta or values.is_complex() or values.is_nested or values.is_quantized
        plain = values.layout == torch.strided and not odd
        kind = f"a tensor of {values.dtype}, {values.layout}"
    else:
        dtype = np.asarray(values).dtype  # digits beyond a double would be lost
        plain = not isinstance(values, np.ma.MaskedArray) and dtype.kind in "fiub" and dtype.itemsize <= 8
        kind = f"{type(values).__name__} of {dtype}"
    if not plain:
        raise ValueError(f"{name} must be a plain array of real numbers; it is {kind}")


def _tensor(values: Any) -> Tensor:
    """Convert to a contiguous tensor: single precision stays, other types become double; copy only if necessary.

    Raises:
        ValueError: whole numbers are too large for double precision, which would make different ones equal.
    """
    if not isinstance(values, Tensor):
        array = np.asarray(values)
        kind = np.float32 if array.dtype == np.float32 else np.float64
        plain = np.require(array, kind, ["C", "W"])  # torch has no read-only tensors
        if array.dtype.kind in "iu":
            _check_exact(plain)
        values = torch.from_numpy(plain)
    tensor: Tensor = values.detach()
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor.contiguous()
    double = tensor.double()
    if not tensor.is_floating_point():
        _check_exact(double)
    return double.contiguous()


def _check_exact(whole: Any) -> None:
    if len(whole) and abs(whole).max() >= 2**53:
        raise ValueError("similarities of 2**53 or more are not exact in double precision; give smaller numbers")
