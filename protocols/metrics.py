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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

Rule = Literal["sysu", "regdb", "llcm"]
BLOCK = 1_000_000
"""Query-gallery pairs ranked at once; bounds the memory in use to some 100 MB."""


@dataclass(frozen=True, eq=False)
class RankMetrics:
    """Scores of one ranking, all of them fractions.

    Attributes:
        cmc: share of valid queries that find their person within the first ranks; index 0 is Rank-1.
        mAP: mean average precision of the valid queries.
        mINP: mean inverse negative penalty of the valid queries.
        num_valid: queries with at least one correct gallery image that they see.
        average_precision: ``[Q]`` of each query, NaN where it is invalid.
    """

    cmc: NDArray[np.float64]
    mAP: float  # noqa: N815 - the field's own spelling
    mINP: float  # noqa: N815
    num_valid: int
    average_precision: NDArray[np.float64]

    def rank(self, k: int) -> float:
        """Rank-k; beyond the end of a short CMC, its last value."""
        if k < 1:
            raise ValueError(f"rank {k}: ranks start at 1")
        return float(self.cmc[min(k, len(self.cmc)) - 1])


def rank_metrics(
    similarity: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cams: Any = None,
    gallery_cams: Any = None,
    rule: Rule = "sysu",
) -> RankMetrics:
    """Score a similarity matrix; equal similarities keep the order of the gallery.

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
    task = _task(similarity, query_ids, gallery_ids, query_cams, gallery_cams, rule)
    parts = [_score(task, rows, order, seen) for rows, order, seen in task.ranked()]
    precision, penalty, first = (np.concatenate(column) for column in zip(*parts, strict=True))
    valid = ~np.isnan(precision)
    if not valid.any():
        raise ValueError("no valid query: no query has a gallery image of its identity that it is allowed to see")
    length = len(task.gallery_ids) if rule == "regdb" else len(np.unique(task.gallery_ids))
    hits = np.bincount(first[valid], minlength=length)
    return RankMetrics(
        cmc=np.cumsum(hits) / valid.sum(),
        mAP=float(precision[valid].mean()),
        mINP=float(penalty[valid].mean()),
        num_valid=int(valid.sum()),
        average_precision=precision,
    )


def top_ranked(
    similarity: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cams: Any = None,
    gallery_cams: Any = None,
    rule: Rule = "sysu",
    *,
    depth: int,
) -> NDArray[np.int64]:
    """The first gallery columns of every query, in the very order that :func:`rank_metrics` scores.

    Returns:
        ``[Q, min(depth, G)]``; -1 where a query sees fewer images.
    """
    task = _task(similarity, query_ids, gallery_ids, query_cams, gallery_cams, rule)
    parts = []
    for _, order, seen in task.ranked():
        first = np.argsort(~seen, axis=1, kind="stable")[:, :depth]
        columns = np.take_along_axis(order, first, axis=1)
        parts.append(np.where(np.take_along_axis(seen, first, axis=1), columns, -1))
    return np.concatenate(parts).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Task:
    similarity: NDArray[Any]
    query_ids: NDArray[Any]
    gallery_ids: NDArray[Any]
    query_cams: NDArray[Any]
    gallery_cams: NDArray[Any]
    rule: Rule

    def ranked(self) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.bool_]]]:
        """Blocks of queries: rows, gallery columns best first ``[B, G]``, which of those the query sees ``[B, G]``."""
        step = max(1, BLOCK // len(self.gallery_ids))
        for start in range(0, len(self.query_ids), step):
            rows = slice(start, start + step)
            block = self.similarity[rows]
            if np.isnan(block).any():
                raise ValueError(f"similarity holds NaN in rows {start} to {start + len(block) - 1}")
            order = np.argsort(-block, axis=1, kind="stable")
            yield rows, order, np.take_along_axis(self._seen(rows), order, axis=1)

    def _seen(self, rows: slice) -> NDArray[np.bool_]:
        ids, cams = self.query_ids[rows, None], self.query_cams[rows, None]
        seen: NDArray[np.bool_] = np.ones((len(ids), len(self.gallery_ids)), dtype=bool)
        if self.rule == "sysu":
            seen = _place(cams) != _place(self.gallery_cams)
        elif self.rule == "llcm":
            seen = (ids != self.gallery_ids) | (cams != self.gallery_cams)
        return seen


def _score(
    task: _Task, rows: slice, order: NDArray[np.int64], seen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """AP, INP (NaN: invalid) and zero-based rank of the first hit (meaningless where invalid), each ``[B]``."""
    rank = np.cumsum(seen, axis=1)
    correct = seen & (task.gallery_ids[order] == task.query_ids[rows, None])
    found = np.cumsum(correct, axis=1)
    number = np.where(found[:, -1] > 0, found[:, -1], np.nan)
    precision = np.divide(found, rank, out=np.zeros(rank.shape), where=correct).sum(axis=1) / number
    last = np.max(rank * correct, axis=1)
    penalty = number / np.maximum(last, 1)
    if task.rule == "regdb":
        return precision, penalty, np.argmax(correct, axis=1)
    return precision, penalty, _better_identities(task, rows, order, np.where(seen, rank, np.iinfo(np.int64).max))


def _better_identities(
    task: _Task, rows: slice, order: NDArray[np.int64], rank: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many identities have an image ranked above the best image of the query's own, ``[B]``."""
    of_column = np.empty_like(rank)
    np.put_along_axis(of_column, order, rank, axis=1)
    by_identity = np.argsort(task.gallery_ids, kind="stable")
    identities, starts = np.unique(task.gallery_ids[by_identity], return_index=True)
    best = np.minimum.reduceat(of_column[:, by_identity], starts, axis=1)
    own = np.minimum(np.searchsorted(identities, task.query_ids[rows]), len(identities) - 1)
    better: NDArray[np.int64] = (best < np.take_along_axis(best, own[:, None], axis=1)).sum(axis=1)
    return better


def _place(cams: NDArray[Any]) -> NDArray[Any]:
    return np.where(cams == 3, 2, cams)


def _task(similarity: Any, query_ids: Any, gallery_ids: Any, query_cams: Any, gallery_cams: Any, rule: Rule) -> _Task:
    if rule not in get_args(Rule):
        raise ValueError(f"unknown rule '{rule}': choose one of {', '.join(get_args(Rule))}")
    scores = _array(similarity)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"similarity must be [queries, gallery], neither empty; it is {scores.shape}")
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if rule == "regdb":
        query_cams, gallery_cams = np.zeros(scores.shape[0]), np.zeros(scores.shape[1])
    vectors: dict[str, NDArray[Any]] = {}
    sides = {"query_ids": query_ids, "gallery_ids": gallery_ids, "query_cams": query_cams, "gallery_cams": gallery_cams}
    for (name, given), size in zip(sides.items(), scores.shape * 2, strict=True):
        if given is None:
            raise ValueError(f"{name} is missing: rule '{rule}' leaves out gallery images by camera")
        vector = _array(given)
        if vector.shape != (size,):
            raise ValueError(f"{name} must be [{size}] for a similarity of {scores.shape}; it is {vector.shape}")
        vectors[name] = vector
    return _Task(scores, rule=rule, **vectors)


def _array(values: Any) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)
