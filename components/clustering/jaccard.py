"""k-reciprocal Jaccard distance with sparse matrices.

Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017, in the arithmetic of
clustering-based re-identification (alibaba/cluster-contrast-reid @57b62e9, ``utils/faiss_rerank.py``). The local
expansion can be balanced over modalities as in MMM (shijiangming1/MMM @7e57d50), or over cameras as in the
modality-camera invariant expansion (MIE) of DMIC (arXiv 2412.08231).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from torch import Tensor

from usvi_bench.components.clustering.jaccard_on_device import jaccard_on_device
from usvi_bench.components.clustering.neighbours import Search, nearest
from usvi_bench.components.clustering.overlap import near_pairs
from usvi_bench.core.measuring import timed


def jaccard_distance(
    features: Tensor | NDArray[np.floating[Any]],
    k1: int = 30,
    k2: int = 6,
    groups: ArrayLike | Tensor | None = None,
    max_distance: float = 1.0,
    search: Search = "auto",
) -> csr_array:
    """Compute the Jaccard distance of images: d_ij = 1 - s_ij / (2 - s_ij), s_ij = sum_m min(V_im, V_jm).

    V_i is the code of image i: the softmax of its similarities to its k-reciprocal neighbours, averaged over its ``k2``
    nearest images (local expansion). With modality and camera as ``groups`` the average is V_i = sum_j W_ij V_j with
    W_ij = 1 / (M_i C_ij n_ij). M_i is the number of modalities among the neighbours of i, C_ij the number of cameras of
    j's modality among them, and n_ij the number of them from j's camera. This is MIE of DMIC (Eq. 6 and 7) in the
    two-level form, which is our reconstruction.

    Time and memory grow with the number of stored pairs, so set ``max_distance`` if only near pairs are needed. On a
    GPU, time grows with the square of N, and memory does not.

    Args:
        features: ``[N, D]`` features, used without normalisation; scaling them changes the distance.
        k1: length of the neighbour lists, the image itself included.
        k2: number of neighbours in the local expansion, the image itself included; 1 for no expansion. The lists have
            at most ``k1`` neighbours.
        groups: modality of each image ``[N]``, or modality and camera ``[N, 2]``, over which the expansion is balanced.
        max_distance: largest distance to store, in ``(0, 1]``.
        search: neighbour search, see :func:`usvi_bench.components.clustering.neighbours.nearest`.

    Returns:
        ``[N, N]`` float32, exactly symmetric, sorted. It stores every pair at distance <= ``max_distance`` (< 1 if that
        is 1), including the diagonal and other zeros. A pair that is absent is farther.

    Raises:
        ValueError: fewer images than ``k1``, or an argument out of range.
    """
    vectors = torch.as_tensor(features).detach().float().contiguous()
    if len(vectors) < k1:
        raise ValueError(f"{len(vectors)} images are fewer than k1={k1}; lower k1 or give more images")
    if min(k1, k2) < 1 or not 0 < max_distance <= 1:
        raise ValueError(f"k1={k1}, k2={k2}, max_distance={max_distance}: choose k1, k2 >= 1, max_distance in (0, 1]")
    balance = nested_groups(groups, len(vectors))
    lists = nearest(vectors, k1, search)[1]
    return distance_of_lists(vectors, lists, lists[:, :k2] if k2 > 1 else None, balance, max_distance)


def distance_of_lists(
    vectors: Tensor, lists: Tensor, averaged: Tensor | None, groups: list[NDArray[np.int64]], max_distance: float
) -> csr_array:
    """Compute the Jaccard distance from given neighbour lists; see :func:`jaccard_distance`.

    Args:
        vectors: ``[N, D]`` float32.
        lists: ``[N, K]`` int64 neighbours of each image, nearest first, on the same device.
        averaged: ``[N, k]`` int64 neighbours whose codes are averaged; None for no local expansion.
        groups: groups of each image over which the average is balanced, see :func:`nested_groups`.
        max_distance: largest distance to store.
    """
    with timed("distance"):
        if vectors.is_cuda:
            return jaccard_on_device(vectors, lists, averaged, groups, max_distance)
        codes = _encode(vectors, lists.numpy().astype(np.int32))
        if averaged is not None:
            codes = _expand(codes, averaged.numpy().astype(np.int32), groups)
        return near_pairs(codes, max_distance)


def relative_codes(vectors: Tensor, lists: Tensor, half: int, k2: int, farthest: NDArray[np.float32]) -> csr_array:
    """Compute expanded codes from distances that are divided by the largest distance of their row, as for re-ranking.

    Args:
        vectors: ``[N, D]`` float32 unit features on the CPU.
        lists: ``[N, K]`` neighbours of each image, the image itself first.
        half: length of the lists by which sets of mutual neighbours are expanded.
        k2: number of neighbours in the local expansion; 1 for no expansion.
        farthest: ``[N]`` largest squared distance of each image.

    Returns:
        ``[N, N]`` float32; rows sum to 1.
    """
    members = lists.numpy().astype(np.int32)
    codes = _encode(vectors, members, half, farthest)
    return _expand(codes, members[:, :k2], []) if k2 > 1 else codes


def _encode(
    vectors: Tensor, lists: NDArray[np.int32], half: int | None = None, farthest: NDArray[np.float32] | None = None
) -> csr_array:
    """Compute the codes: softmax similarities of each image to its expanded set of mutual neighbours.

    Args:
        vectors: ``[N, D]`` features.
        lists: ``[N, K]`` neighbours.
        half: length of the lists of the neighbours that are added; half of ``K`` and one if None.
        farthest: ``[N]`` numbers to divide the distances of each row by; None for no division.
    """
    mutual, half_mutual = _mutual(lists), _mutual(lists[:, : half or round(lists.shape[1] / 2) + 1])
    # The half-set of a mutual neighbour is added if more than two thirds of it are mutual neighbours already.
    joins = mutual.multiply(mutual @ half_mutual)
    joins.data = (3 * joins.data > 2 * np.diff(half_mutual.indptr)[joins.indices]).astype(np.int32)
    joins.eliminate_zeros()
    members = (mutual + joins @ half_mutual).tocsr()
    members.sort_indices()

    logits = _similarities(vectors, members)
    if farthest is not None:
        logits /= np.repeat(farthest, np.diff(members.indptr))
    lengths = np.diff(members.indptr)
    filled = lengths > 0  # an image that is missing from its own list, as a short feature may be, can have no members
    starts, lengths = members.indptr[:-1][filled], lengths[filled]
    weights = np.exp(logits - np.repeat(np.maximum.reduceat(logits, starts), lengths))
    weights /= np.repeat(np.add.reduceat(weights, starts), lengths)
    return csr_array((weights, members.indices, members.indptr), shape=members.shape)


def _mutual(lists: NDArray[np.int32]) -> csr_array:
    """Find the images that are in each other's lists: a symmetric matrix of ones."""
    n, k = lists.shape
    listed = csr_array((np.ones(n * k, np.int32), lists.ravel(), _ends(np.full(n, k))), shape=(n, n))
    return csr_array(listed.multiply(listed.T))


def _similarities(vectors: Tensor, pairs: csr_array) -> NDArray[np.float32]:
    """Compute ``-(2 - 2 f_i . f_j)`` of the stored pairs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        parts = (torch.from_numpy(pairs.indptr), torch.from_numpy(pairs.indices), torch.full((pairs.nnz,), -2.0))
        pattern = torch.sparse_csr_tensor(*parts, pairs.shape, check_invariants=False)
        return np.asarray(torch.sparse.sampled_addmm(pattern, vectors, vectors.T, alpha=2.0).values())


def nested_groups(groups: ArrayLike | Tensor | None, n: int) -> list[NDArray[np.int64]]:
    """Number the groups of each image, from the finest grouping (camera of a modality) to the coarsest (modality)."""
    if groups is None:
        return []
    table = torch.as_tensor(groups).cpu().numpy()
    if len(table) != n or table.shape[1:] not in ((), (1,), (2,)):
        raise ValueError(f"groups of shape {table.shape} for {n} images; give [N] or [N, 2]")
    table = table.reshape(n, -1)
    levels = range(table.shape[1], 0, -1)
    return [np.unique(table[:, :level], axis=0, return_inverse=True)[1].ravel() for level in levels]


def _expand(codes: csr_array, lists: NDArray[np.int32], groups: list[NDArray[np.int64]]) -> csr_array:
    """Average the codes of each list (MIE with groups): within the finest groups first, then over coarser groups."""
    n, k = lists.shape
    owner, member = np.repeat(np.arange(n), k), lists.ravel()
    groups = [group[member] for group in groups]
    while groups:
        finest, *coarser = groups
        _, first, row = np.unique(owner * (finest.max() + 1) + finest, return_index=True, return_inverse=True)
        codes = _mean(codes, row, member)
        owner, member, groups = owner[first], np.arange(len(first), dtype=np.int32), [group[first] for group in coarser]
    return _mean(codes, owner, member)


def _mean(codes: csr_array, row: NDArray[np.int64], member: NDArray[np.int32]) -> csr_array:
    """Compute the mean of ``codes[member[row == r]]`` for each row ``r``, summed in the order of the dense mean."""
    order = np.argsort(row, kind="stable")
    counts = np.bincount(row)
    ones = np.ones(len(member), np.float32)
    pick = csr_array((ones, member[order], _ends(counts)), shape=(len(counts), codes.shape[0]))
    total: csr_array = pick @ codes
    total.data /= np.repeat(counts.astype(np.float32), np.diff(total.indptr))
    return total


def _ends(counts: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Compute the row pointers of a sparse array, in 32 bits if they fit."""
    ends = np.concatenate([[0], np.cumsum(counts)])
    return ends.astype(np.int32) if ends[-1] < 2**31 else ends
