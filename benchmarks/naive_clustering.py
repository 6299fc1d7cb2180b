"""Dense reference implementation of the k-reciprocal Jaccard distance and its clusters, one image at a time.

It does the same as the public codes (alibaba/cluster-contrast-reid @57b62e9, ``utils/faiss_rerank.py``; balanced
expansion of shijiangming1/MMM @7e57d50), at about their speed, and with their memory of two float32 matrices of N x N.
Tests and benchmarks compare the project's implementation with it. Steps report their seconds to
:func:`usvi_bench.core.measuring.collect_metrics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import DBSCAN

from usvi_bench.core.measuring import timed

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


def naive_lists(features: Floats, k: int) -> Integers:
    """Find the ``k`` nearest images of every image with faiss' exhaustive search, ``[N, k]``, nearest first."""
    import faiss  # optional dependency; callers with their own lists do not need it

    with timed("search"):
        faiss.omp_set_num_threads(torch.get_num_threads())
        index = faiss.IndexFlatL2(features.shape[1])
        index.add(features)
        found: Integers = index.search(features, k)[1]
        return found


def naive_jaccard(
    features: Floats, k1: int, k2: int, groups: ArrayLike | None = None, lists: NDArray[np.integer[Any]] | None = None
) -> Floats:
    """Compute the k-reciprocal Jaccard distance ``[N, N]``.

    Args:
        features: ``[N, D]`` features.
        k1: length of the neighbour lists, at most ``N``.
        k2: number of neighbours whose codes are averaged; 1 for no averaging.
        groups: modality ``[N]``, or modality and camera ``[N, 2]``, over which the average is balanced.
        lists: neighbour lists ``[N, k1]``; default: :func:`naive_lists`.
    """
    lists = naive_lists(features, k1) if lists is None else lists
    with timed("distance"):
        codes = _encoded(features, lists, k1)
        if k2 > 1:
            nested = np.zeros((len(features), 0)) if groups is None else np.asarray(groups).reshape(len(features), -1)
            codes = _expanded(codes, lists[:, :k2], nested)
        return _distances(codes)


def naive_labels(distance: Floats, eps: float, min_samples: int = 4) -> Integers:
    """Cluster the images with scikit-learn's DBSCAN on the full matrix ``[N, N]``; -1 marks an outlier."""
    with timed("dbscan"):
        estimator = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed", n_jobs=-1)
        labels: Integers = estimator.fit_predict(distance)
        return labels


def _mutual(lists: NDArray[np.integer[Any]], k: int) -> list[set[int]]:
    """Compute ``{j in R_i[:k+1] : i in R_j[:k+1]}`` for every i; lists have at most ``k1`` entries."""
    near = [set(row) for row in lists[:, : k + 1].tolist()]
    return [{j for j in row if i in near[j]} for i, row in enumerate(near)]


def _encoded(features: Floats, lists: NDArray[np.integer[Any]], k1: int) -> Floats:
    """Compute the softmax similarity of each image to its expanded set of mutual neighbours, zero elsewhere."""
    mutual, half = _mutual(lists, k1), _mutual(lists, round(k1 / 2))
    codes = np.zeros((len(features), len(features)), np.float32)
    for i, own in enumerate(mutual):
        joining = [half[c] for c in own if 3 * len(half[c] & own) > 2 * len(half[c])]
        members = sorted(own.union(*joining))
        weights = np.exp(-(2 - 2 * (features[members] @ features[i])))
        codes[i, members] = weights / weights.sum()
    return codes


def _expanded(codes: Floats, lists: NDArray[np.integer[Any]], groups: NDArray[Any]) -> Floats:
    """Replace each code by the mean code of the image's neighbours."""
    result = np.empty_like(codes)
    for i, neighbours in enumerate(lists):
        result[i] = _balanced_mean(codes[neighbours], groups[neighbours])
    return result


def _balanced_mean(codes: Floats, groups: NDArray[Any]) -> Floats:
    """Average codes within each camera, then over the cameras of a modality, then over modalities."""
    if not groups.shape[1]:
        return np.asarray(codes.mean(axis=0))
    inside = [groups[:, 0] == group for group in np.unique(groups[:, 0])]
    return np.asarray(np.mean([_balanced_mean(codes[rows], groups[rows, 1:]) for rows in inside], axis=0))


def _distances(codes: Floats) -> Floats:
    """Compute ``1 - m / (2 - m)``, where ``m`` sums the smaller entries of two codes in ascending column."""
    holders = [np.flatnonzero(column) for column in codes.T]
    distance = np.empty_like(codes)
    for i, code in enumerate(codes):
        overlap = np.zeros_like(code)
        for column in np.flatnonzero(code):
            rows = holders[column]
            overlap[rows] += np.minimum(code[column], codes[:, column][rows])
        distance[i] = 1 - overlap / (2 - overlap)
    return np.maximum(distance, 0, out=distance)
