"""k-reciprocal Jaccard distance in torch operations, for features on a GPU.

The definition is that of :mod:`usvi_bench.components.clustering.jaccard`. Sums are taken in whole multiples of 2^-40,
so that they do not depend on the summation order of a GPU. Equal neighbour lists give equal distances, within 2e-6 of
those on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from usvi_bench.components.clustering.overlap import symmetric

_UNIT = 2.0**-40
_BUDGET = 1 << 25
"""Number of entries in work at a time; each takes about 50 bytes."""


@dataclass(frozen=True)
class _Codes:
    """Sparse ``[N, N]`` matrix of whole numbers: ``row``, ``column`` and ``value`` of each entry, sorted by row."""

    n: int
    row: Tensor
    column: Tensor
    value: Tensor

    @property
    def ends(self) -> Tensor:
        """Row pointers ``[N + 1]``."""
        return _ends(self.row, self.n)


def jaccard_on_device(
    vectors: Tensor, lists: Tensor, averaged: Tensor | None, groups: list[NDArray[np.int64]], max_distance: float
) -> csr_array:
    """Compute the distances of near pairs from neighbour lists, in time that grows with the square of N.

    Args:
        vectors: ``[N, D]`` float32.
        lists: ``[N, k1]`` int64, nearest first, on the same device.
        averaged: ``[N, k]`` int64 neighbours whose codes are averaged; None for no local expansion.
        groups: group numbers of each row over which the average is balanced, from the finest grouping to the coarsest.
        max_distance: largest distance to store; 1 itself is never stored.

    Returns:
        ``[N, N]`` float32 on the CPU, exactly symmetric, sorted.
    """
    codes = _encode(vectors, lists)
    if averaged is not None:
        codes = _expand(codes, averaged, [torch.from_numpy(group).to(lists.device) for group in groups])
    first, second, distance = (part.cpu().numpy() for part in _near_pairs(codes, max_distance))
    return symmetric(first, second, distance, len(vectors))


def _encode(vectors: Tensor, lists: Tensor) -> _Codes:
    n = len(lists)
    mutual = _mutual(lists)
    half = _mutual(lists[:, : round(lists.shape[1] / 2) + 1])
    member, sizes = half % n, _ends(half // n, n).diff()
    starts = _ends(half // n, n)
    expanded = [mutual]
    for pairs in _blocks(sizes[mutual % n], mutual):
        row, partner = pairs // n, pairs % n
        length = sizes[partner]
        pair = torch.arange(len(pairs), device=pairs.device).repeat_interleave(length)
        key = row[pair] * n + member[_runs(starts[partner], length)]
        inside = torch.zeros_like(pairs).index_add_(0, pair, _contains(mutual, key).long())
        expanded.append(key[(3 * inside > 2 * length)[pair]])
    key = torch.unique(torch.cat(expanded))
    row, column = key // n, key % n
    logit = torch.cat([2 * (vectors[r] * vectors[c]).sum(1) - 2 for r, c in _pairs(row, column, vectors.shape[1])])
    top = torch.full((n,), -torch.inf, device=key.device).scatter_reduce_(0, row, logit, "amax")
    weight = _whole((logit - top[row]).exp())
    total = torch.zeros(n, dtype=torch.int64, device=key.device).index_add_(0, row, weight)
    return _Codes(n, row, column, _whole(weight.double() / total[row]))


def _expand(codes: _Codes, lists: Tensor, groups: list[Tensor]) -> _Codes:
    n, k = lists.shape
    starts, sizes = codes.ends, codes.ends.diff()
    keys, values = [], []
    owners = torch.arange(n, device=lists.device)
    for rows in _blocks(sizes[lists].sum(1) + k * k, owners):
        member, weight = lists[rows].flatten(), _weights(lists[rows], groups).flatten()
        owner, length = rows.repeat_interleave(k), sizes[member]
        entry = _runs(starts[member], length)
        key, place = torch.unique(owner.repeat_interleave(length) * n + codes.column[entry], return_inverse=True)
        share = _whole(codes.value[entry].double() * _UNIT * weight.repeat_interleave(length))
        keys.append(key)
        values.append(torch.zeros_like(key).index_add_(0, place, share))
    key = torch.cat(keys)
    return _Codes(n, key // n, key % n, torch.cat(values))


def _weights(lists: Tensor, groups: list[Tensor]) -> Tensor:
    """Compute the weights of neighbours ``[B, k]`` (MIE): rows sum to 1, with equal weights of groups at each level."""
    weight = torch.ones(lists.shape, dtype=torch.float64, device=lists.device)
    for group in groups:
        same = group[lists][:, :, None] == group[lists][:, None]
        weight = weight / (same * weight[:, None]).sum(2)
    return weight / weight.sum(1, keepdim=True)


def _near_pairs(codes: _Codes, max_distance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Find the near pairs of rows ``i <= j``, and their distances."""
    n = codes.n
    by_column = torch.argsort(codes.column, stable=True)
    partner, value = codes.row[by_column], codes.value[by_column]
    starts, sizes = _ends(codes.column[by_column], n), _ends(codes.column[by_column], n).diff()
    work = torch.zeros(n, dtype=torch.int64, device=partner.device).index_add_(0, codes.row, sizes[codes.column])
    ends = codes.ends
    found = []
    for rows in _blocks(work + n, torch.arange(n, device=partner.device)):
        first, last = int(rows[0]), int(rows[-1]) + 1
        mine = slice(int(ends[first]), int(ends[last]))
        length = sizes[codes.column[mine]]
        other = _runs(starts[codes.column[mine]], length)
        smaller = torch.minimum(codes.value[mine].repeat_interleave(length), value[other])
        place = (codes.row[mine] - first).repeat_interleave(length) * n + partner[other]
        overlap = torch.zeros((last - first) * n, dtype=torch.int64, device=rows.device).index_add_(0, place, smaller)
        shared = overlap.view(-1, n).double() * _UNIT
        distance = (1 - shared / (2 - shared)).clamp_(min=0).float()
        near = (distance < 1) & (distance <= max_distance) & (torch.arange(n, device=rows.device) >= rows[:, None])
        i, j = torch.nonzero(near, as_tuple=True)
        found.append((i + first, j, distance[i, j]))
    return tuple(torch.cat(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def _mutual(lists: Tensor) -> Tensor:
    """Compute the sorted keys ``i * N + j`` of images in each other's lists."""
    n, k = lists.shape
    owner = torch.arange(n, device=lists.device).repeat_interleave(k)
    keys = (owner * n + lists.flatten()).sort().values
    return keys[_contains(keys, keys % n * n + keys // n)]


def _contains(keys: Tensor, asked: Tensor) -> Tensor:
    """Return True for each of ``asked`` that is among the sorted keys."""
    return keys[torch.searchsorted(keys, asked).clamp_(max=len(keys) - 1)] == asked


def _runs(starts: Tensor, lengths: Tensor) -> Tensor:
    """Concatenate the runs ``start, start + 1, ...`` of given lengths."""
    before = lengths.cumsum(0) - lengths
    return torch.arange(int(lengths.sum()), device=starts.device) + (starts - before).repeat_interleave(lengths)


def _ends(sorted_rows: Tensor, n: int) -> Tensor:
    return torch.searchsorted(sorted_rows, torch.arange(n + 1, device=sorted_rows.device))


def _whole(values: Tensor) -> Tensor:
    return (values.double() / _UNIT).round().long()


def _blocks(work: Tensor, items: Tensor) -> Iterator[Tensor]:
    """Yield blocks of consecutive items whose work is within the budget, or single items beyond it."""
    total = work.cumsum(0).cpu()
    start = 0
    while start < len(items):
        done = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(torch.searchsorted(total, done + _BUDGET, right=True)))
        yield items[start:stop]
        start = stop


def _pairs(row: Tensor, column: Tensor, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    step = max(1, _BUDGET // width)
    return zip(row.split(step), column.split(step), strict=True)
