"""Ranked retrieval scored as visible-infrared re-identification does: CMC, mAP, mINP under three rules.

| rule | gallery images a query does not see | CMC counts | CMC length |
|---|---|---|---|
| ``sysu`` | same place (camera 3 stands where camera 2 does) | identities | distinct gallery identities |
| ``llcm`` | same identity and same camera | identities | distinct gallery identities |
| ``regdb`` | none | images | gallery images |

A CMC that counts identities keeps only the best image of each: a wrong person costs one rank however many images
there are. AP and INP always count images. Sources: wuancong/SYSU-MM01 @0499112 and mangye16/Cross-Modal-Re-ID-baseline
@e817a26 (``sysu``, ``regdb``), ZYK100/LLCM @886e27c (``llcm``); INP: Ye et al., TPAMI 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.protocols.ranks import Gallery, Images, Integers, Ranks, best_images, rank_positives

Rule = Literal["sysu", "regdb", "llcm"]
BLOCK = 1 << 24
"""Query-gallery pairs compared at once; fewer queries than ``ROWS`` are not, however long the gallery."""
ROWS = 32


@dataclass(frozen=True, eq=False)
class RankMetrics:
    """Scores of one ranking, all of them fractions.

    Attributes:
        cmc: share of valid queries that find their person within the first ranks; index 0 is Rank-1.
        mAP: mean average precision of the valid queries.
        mINP: mean inverse negative penalty of the valid queries.
        average_precision: ``[Q]`` of each query, NaN where it is invalid.
        first_match_rank: ``[Q]`` zero-based rank of the first match in the CMC; -1 where the query is invalid.
    """

    cmc: NDArray[np.float64]
    mAP: float  # noqa: N815 - the field's own spelling
    mINP: float  # noqa: N815
    average_precision: NDArray[np.float64]
    first_match_rank: Integers

    def rank(self, k: int) -> float:
        """Rank-k; beyond the end of a short CMC, its last value."""
        if k < 1:
            raise ValueError(f"rank {k}: ranks start at 1")
        return float(self.cmc[min(k, len(self.cmc)) - 1])


@dataclass(frozen=True, eq=False)
class GalleryScores:
    """Scores of several galleries, and the ranked lists of the first.

    Attributes:
        metrics: one entry a gallery.
        columns: ``[Q, min(depth, G)]`` first gallery images of a query, best first; -1 where it sees fewer.
        similarity: of those columns; NaN where there is none.
    """

    metrics: tuple[RankMetrics, ...]
    columns: Integers
    similarity: NDArray[Any]


def rank_metrics(
    similarity: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cams: Any = None,
    gallery_cams: Any = None,
    rule: Rule = "sysu",
) -> RankMetrics:
    """Score a similarity matrix, where it is; equal similarities keep the order of the gallery.

    One query of person 5. The right images rank third and fourth: AP is the mean of 1/3 and 2/4, INP is 2/4. The two
    images before them show one person, so the CMC of ``sysu`` reaches person 5 at rank 2, that of ``regdb`` at rank 3.

    >>> gallery = {"query_ids": [5], "gallery_ids": [6, 6, 5, 5], "query_cams": [3], "gallery_cams": [1, 4, 1, 4]}
    >>> scores = rank_metrics([[0.9, 0.8, 0.7, 0.6]], **gallery)
    >>> round(scores.mAP, 4), scores.mINP, scores.rank(1), scores.rank(2)
    (0.4167, 0.5, 0.0, 1.0)
    >>> rank_metrics([[0.9, 0.8, 0.7, 0.6]], **gallery, rule="regdb").rank(2)
    0.0

    Args:
        similarity: ``[Q, G]``, higher is better; numpy or torch, like all arguments.
        query_ids: ``[Q]`` identities.
        gallery_ids: ``[G]`` identities.
        query_cams: ``[Q]`` camera numbers; not read by ``regdb``.
        gallery_cams: ``[G]`` camera numbers; not read by ``regdb``.
        rule: see the module.

    Raises:
        ValueError: shapes do not fit, cameras are missing, a similarity is NaN, or no query is valid.
    """
    blocks, queries, gallery = _task(similarity, query_ids, gallery_ids, query_cams, gallery_cams, rule)
    return _scored(blocks, queries, (gallery,), depth=0).metrics[0]


def score_galleries(
    queries: Any,
    candidates: Any,
    galleries: Sequence[Any],
    query_ids: Any,
    candidate_ids: Any,
    query_cams: Any = None,
    candidate_cams: Any = None,
    rule: Rule = "sysu",
    *,
    depth: int = 0,
) -> GalleryScores:
    """Score features by their dot product against several galleries, each of some of the same candidates.

    Computed where the features are and in their precision, some queries at a time: what is held beside the
    arguments grows with ``N``, not with ``Q x N``.

    Args:
        queries: ``[Q, D]`` features.
        candidates: ``[N, D]`` features.
        galleries: rows of ``candidates``, one array a gallery, in the order that equal similarities keep.
        query_ids: ``[Q]`` identities.
        candidate_ids: ``[N]`` identities.
        query_cams: ``[Q]`` camera numbers; not read by ``regdb``.
        candidate_cams: ``[N]`` camera numbers; not read by ``regdb``.
        rule: see the module.
        depth: images in the ranked lists of the first gallery.

    Raises:
        ValueError: as :func:`rank_metrics`, or no gallery is given.
    """
    probes, pool = _tensor(queries), _tensor(candidates)
    if probes.ndim != 2 or pool.ndim != 2 or probes.shape[1] != pool.shape[1] or probes.dtype != pool.dtype:
        sides = " and ".join(f"{tuple(side.shape)} {side.dtype}" for side in (probes, pool))
        raise ValueError(f"features must be [queries, D] and [candidates, D] of one type; they are {sides}")
    rows = [_array(gallery) for gallery in galleries]
    if not rows or not all(map(len, rows)) or not len(probes):
        raise ValueError(f"{len(probes)} queries and galleries of {list(map(len, rows))} images: give some of each")
    size = len(probes), len(pool)
    people, images = _sides(size, query_ids, candidate_ids, query_cams, candidate_cams, rule)
    used, place = np.unique(np.concatenate(rows), return_inverse=True)
    used = np.pad(used, (0, -len(used) % 16), mode="edge")  # products of odd widths take half as long again
    if not np.array_equal(used, np.arange(len(pool))):
        pool = pool[torch.from_numpy(used).to(pool.device)]
    places = np.split(place, np.cumsum([len(gallery) for gallery in rows])[:-1])
    blocks = _blocks((len(probes), len(pool)), lambda part: probes[part] @ pool.T)
    drawn = [_gallery(images[own], columns, rule) for own, columns in zip(rows, places, strict=True)]
    return _scored(blocks, people, drawn, depth)


Blocks = Iterator[tuple[slice, Tensor]]
"""Some queries, and their similarity to everything, contiguous."""


def _scored(blocks: Blocks, queries: Images, galleries: Sequence[Gallery], depth: int) -> GalleryScores:
    best, parts = [], []
    for rows, block in blocks:
        best.append(best_images(block, queries[rows], galleries[0], depth))
        ranked = rank_positives(block, queries[rows], galleries)
        parts.append([_query_scores(ranks, gallery) for ranks, gallery in zip(ranked, galleries, strict=True)])
    columns, similarity = map(np.concatenate, zip(*best, strict=True))
    metrics = [_summary(part, gallery) for part, gallery in zip(zip(*parts, strict=True), galleries, strict=True)]
    return GalleryScores(tuple(metrics), columns, similarity)


_QueryScores = tuple[NDArray[np.float64], NDArray[np.float64], Integers]
"""AP and INP (NaN: invalid) of some queries, and the rank of their first match."""


def _query_scores(ranks: Ranks, gallery: Gallery) -> _QueryScores:
    from usvi_bench.protocols.compiled.precision import average_precisions  # compiled, long to import

    number = np.diff(ranks.ends)
    penalty = np.full(len(number), np.nan)
    valid = number > 0
    penalty[valid] = number[valid] / ranks.rank[ranks.ends[1:][valid] - 1]
    precision = average_precisions(ranks.rank, ranks.position, ranks.ends, len(gallery.columns))
    return precision, penalty, ranks.first_match_rank


def _summary(parts: Sequence[_QueryScores], gallery: Gallery) -> RankMetrics:
    precision, penalty, first_match_rank = map(np.concatenate, zip(*parts, strict=True))
    valid = ~np.isnan(precision)
    if not valid.any():
        raise ValueError("no valid query: no query has a gallery image of its identity that it is allowed to see")
    hits = np.bincount(first_match_rank[valid], minlength=len(np.unique(gallery.cmc_units)))
    return RankMetrics(
        cmc=np.cumsum(hits) / valid.sum(),
        mAP=float(precision[valid].mean()),
        mINP=float(penalty[valid].mean()),
        average_precision=precision,
        first_match_rank=np.where(valid, first_match_rank, -1),
    )


def _task(
    similarity: Any, query_ids: Any, gallery_ids: Any, query_cams: Any, gallery_cams: Any, rule: Rule
) -> tuple[Blocks, Images, Gallery]:
    scores = similarity if isinstance(similarity, Tensor) else np.asarray(similarity)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"similarity must be [queries, gallery], neither empty; it is {tuple(scores.shape)}")
    size = scores.shape[0], scores.shape[1]
    queries, images = _sides(size, query_ids, gallery_ids, query_cams, gallery_cams, rule)
    gallery = _gallery(images, np.arange(len(images)), rule)
    return _blocks(size, lambda rows: _tensor(scores[rows])), queries, gallery


def _blocks(size: tuple[int, int], similarity: Callable[[slice], Tensor]) -> Blocks:
    count, width = size
    step = max(ROWS, BLOCK // width)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        block = similarity(rows)
        if block.amin().isnan():
            raise ValueError(f"similarity holds NaN in rows {start} to {rows.stop - 1}")
        yield rows, block


def _sides(
    size: tuple[int, int], query_ids: Any, gallery_ids: Any, query_cams: Any, gallery_cams: Any, rule: Rule
) -> tuple[Images, Images]:
    """Identities and cameras as numbers from 0, and who does not see whom as groups; see :class:`Images`."""
    if rule not in get_args(Rule):
        raise ValueError(f"unknown rule '{rule}': choose one of {', '.join(get_args(Rule))}")
    if rule == "regdb":
        query_cams, gallery_cams = np.zeros(size[0]), np.ones(size[1])
    vectors: dict[str, NDArray[Any]] = {}
    sides = {"query_ids": query_ids, "gallery_ids": gallery_ids, "query_cams": query_cams, "gallery_cams": gallery_cams}
    for (name, given), length in zip(sides.items(), size * 2, strict=True):
        if given is None:
            raise ValueError(f"{name} is missing: rule '{rule}' leaves out gallery images by camera")
        vectors[name] = _array(given)
        if vectors[name].shape != (length,):
            raise ValueError(f"{name} must be [{length}] for a similarity of {size}; it is {vectors[name].shape}")
    ids = np.concatenate([vectors["query_ids"], vectors["gallery_ids"]])
    cams = np.concatenate([vectors["query_cams"], vectors["gallery_cams"]])
    if rule == "sysu":
        cams = np.where(cams == 3, 2, cams)
    identities, groups = (np.unique(values, return_inverse=True)[1] for values in (ids, cams))
    if rule == "llcm":
        groups = identities * (groups.max() + 1) + groups
    everyone = Images(identities, groups)
    return everyone[: size[0]], everyone[size[0] :]


def _gallery(images: Images, columns: Integers, rule: Rule) -> Gallery:
    cmc_units = np.arange(len(images)) if rule == "regdb" else images.identities
    return Gallery(images, columns, cmc_units)


def _tensor(values: Any) -> Tensor:
    """Contiguous, in single precision if it is given so, else in double; no copy where none is needed."""
    if not isinstance(values, Tensor):
        array = np.asarray(values)
        kind = np.float32 if array.dtype == np.float32 else np.float64
        values = torch.from_numpy(np.require(array, kind, ["C", "W"]))  # torch has no read-only tensors
    tensor: Tensor = values.detach()
    return (tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.double()).contiguous()


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
