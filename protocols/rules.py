"""Published rules of visible-infrared retrieval, as masks.

| rule | ignored gallery images | CMC counts | CMC length |
|---|---|---|---|
| ``sysu`` | same place (cameras 2 and 3 share a room) | identities | distinct gallery identities |
| ``llcm`` | same identity and same camera | identities | distinct gallery identities |
| ``regdb`` | none | images | gallery images |

Under every rule, the images of the query's identity match. Sources: wuancong/SYSU-MM01 @0499112 and
mangye16/Cross-Modal-Re-ID-baseline @e817a26 (``sysu``, ``regdb``), ZYK100/LLCM @886e27c (``llcm``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import show
from usvi_bench.protocols.masks import RetrievalMasks, as_array, check_ids
from usvi_bench.protocols.metrics import RankMetrics, check_plain, retrieval_metrics

Rule = Literal["sysu", "regdb", "llcm"]
Vector = NDArray[Any]


def sysu_masks(query_ids: Vector, gallery_ids: Vector, query_cams: Vector, gallery_cams: Vector) -> RetrievalMasks:
    """Ignore all images from the query's place; cameras 2 and 3 share a room. The CMC counts identities."""
    places = [np.where(cams == 3, 2, cams) for cams in (query_cams, gallery_cams)]
    return RetrievalMasks(_equal(query_ids, gallery_ids), _equal(*places), gallery_ids)


def regdb_masks(query_ids: Vector, gallery_ids: Vector, *_: Vector) -> RetrievalMasks:
    """Ignore nothing. The CMC counts images."""
    return RetrievalMasks(_equal(query_ids, gallery_ids))


def llcm_masks(query_ids: Vector, gallery_ids: Vector, query_cams: Vector, gallery_cams: Vector) -> RetrievalMasks:
    """Ignore images of the query's identity that its own camera took. The CMC counts identities."""
    positives, ignored = _equal(query_ids, gallery_ids), _equal(query_cams, gallery_cams)
    ignored &= positives
    return RetrievalMasks(positives, ignored, gallery_ids)


RULES: dict[str, Callable[..., RetrievalMasks]] = {"sysu": sysu_masks, "regdb": regdb_masks, "llcm": llcm_masks}
"""Functions from identities ``[Q]``, ``[G]`` and camera numbers ``[Q]``, ``[G]`` to masks, by the name of the rule."""


def rank_metrics(
    similarity: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cams: Any = None,
    gallery_cams: Any = None,
    rule: Rule = "sysu",
) -> RankMetrics:
    """Score a similarity matrix under a published rule; equal similarities keep the order of the gallery.

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
        rule: name of the rule; see the module. For other rules, use
            :func:`~usvi_bench.protocols.metrics.retrieval_metrics`.

    Raises:
        ValueError: shapes or types do not fit, cameras are missing, a similarity is NaN, or no query is valid.
    """
    if rule not in get_args(Rule):
        raise ValueError(
            f"unknown rule '{show(rule)}': choose one of {', '.join(get_args(Rule))}; for another rule call "
            "retrieval_metrics"
        )
    check_plain("similarity", similarity)
    size = tuple(np.shape(similarity))
    if len(size) != 2:
        raise ValueError(f"similarity must be [queries, gallery]; it is {size}")
    sides = {"query_ids": query_ids, "gallery_ids": gallery_ids}
    if rule != "regdb":
        sides |= {"query_cams": query_cams, "gallery_cams": gallery_cams}
    vectors = []
    for i, (name, given) in enumerate(sides.items()):
        if given is None:
            raise ValueError(f"{name} is missing: rule '{rule}' leaves out gallery images by camera")
        vectors.append(as_array(name, given))
        if vectors[-1].shape != (size[i % 2],):
            raise ValueError(f"{name} must be [{size[i % 2]}] for a similarity of {size}; it is {vectors[-1].shape}")
        check_ids(name, vectors[-1], "biufUS" if name.endswith("_ids") else "iuf")
    if (vectors[0].dtype.kind in "US") != (vectors[1].dtype.kind in "US"):
        raise ValueError(f"query_ids of {vectors[0].dtype} cannot match gallery_ids of {vectors[1].dtype}")
    masks = RULES[rule](*vectors)
    return retrieval_metrics(similarity, masks.positives, masks.ignored, masks.cmc_units)


def _equal(queries: Vector, gallery: Vector) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = queries[:, None] == gallery[None, :]
    return equal
