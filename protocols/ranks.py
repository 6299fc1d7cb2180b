"""Where the right images of a query stand in a gallery, counted without sorting it.

A score needs whole numbers only: the rank of every positive (a gallery image of the query's identity that the query
sees), and how many units have a better image than the best of them. Two back-ends count them, a compiled one on the
processor and one in torch on whatever device the similarity is on; both are exact. Of two equal similarities the one
that is earlier in the gallery ranks first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

PAIRS = 1 << 24
"""Query-gallery pairs that the torch back-end compares at once."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one side: identities, from 0, and groups. A query sees no gallery image of its own group."""

    identities: Integers
    groups: Integers

    def __getitem__(self, rows: slice | Integers) -> Images:
        return Images(self.identities[rows], self.groups[rows])

    def __len__(self) -> int:
        return len(self.identities)


@dataclass(frozen=True, eq=False)
class Gallery:
    """What queries are compared with.

    Attributes:
        images: ``[G]``, in the order that equal similarities keep.
        columns: ``[G]``, which column of a similarity matrix belongs to each image.
        cmc_units: ``[G]``, units that the CMC counts at most once, from 0: identities, or the images themselves.
    """

    images: Images
    columns: Integers
    cmc_units: Integers

    @cached_property
    def by_identity(self) -> Integers:
        """Images in the order of their identities."""
        return np.argsort(self.images.identities, kind="stable")

    def positives(self, queries: Images) -> tuple[Integers, Integers, Integers]:
        """Images ``[P]`` that are right and seen, query after query; whose they are ``[P]``; ends ``[Q + 1]``."""
        ascending = self.images.identities[self.by_identity]
        starts = np.searchsorted(ascending, queries.identities)
        sizes = np.searchsorted(ascending, queries.identities, side="right") - starts
        owner = np.repeat(np.arange(len(queries)), sizes)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        own = self.by_identity[starts[owner] + offset]
        seen = self.images.groups[own] != queries.groups[owner]
        own, owner = own[seen], owner[seen]
        return own, owner, np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(queries)))])


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where positives stand: query after query, best first.

    Attributes:
        rank: ``[P]``, from 1, among the images that the query sees.
        position: ``[P]``, from 0, among all images.
        ends: ``[Q + 1]``; the positives of query ``q`` are ``ends[q]`` to ``ends[q + 1]``.
        first_match_rank: ``[Q]`` units with a better image than the best positive; 0 where there is none.
    """

    rank: Integers
    position: Integers
    ends: Integers
    first_match_rank: Integers


def rank_positives(similarity: Tensor, queries: Images, galleries: Sequence[Gallery]) -> list[Ranks]:
    """Ranks in each gallery, counted where the similarity is; ``similarity`` is contiguous and holds no NaN.

    Args:
        similarity: ``[Q, N]``, of which each gallery reads its columns.
        queries: ``[Q]``.
        galleries: any number of them.
    """
    if similarity.device.type == "cpu":
        return compiled_ranks(similarity, queries, galleries)
    return [torch_ranks(similarity, queries, gallery) for gallery in galleries]


def compiled_ranks(similarity: Tensor, queries: Images, galleries: Sequence[Gallery]) -> list[Ranks]:
    """The back-end for the processor: one pass over each row, in as many threads as torch uses."""
    results, tasks = [], []
    for gallery in galleries:
        positives, _, ends = gallery.positives(queries)
        result = Ranks(np.zeros_like(positives), np.zeros_like(positives), ends, np.zeros(len(queries), np.int64))
        results.append(result)
        given = (
            similarity.numpy(),
            gallery.columns,
            gallery.images.groups,
            gallery.cmc_units,
            queries.groups,
            positives,
            ends,
        )
        counts = (result.rank, result.position, result.first_match_rank)
        tasks += [(*span, *given, *counts) for span in _spans(len(queries))]
    _in_threads(_rank_rows, tasks)
    return results


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rank_rows(
    start: int,
    stop: int,
    similarity: NDArray[Any],
    columns: Integers,
    groups: Integers,
    cmc_units: Integers,
    query_groups: Integers,
    positives: Integers,
    ends: Integers,
    rank: Integers,
    position: Integers,
    first_match_rank: Integers,
) -> None:
    """Fill ``rank``, ``position`` and ``first_match_rank`` of the queries ``start <= i < stop``."""
    met = np.full(cmc_units.max() + 1, -1)  # the last query that met each unit
    for i in range(start, stop):
        mine = positives[ends[i] : ends[i + 1]]
        if len(mine) == 0:
            continue
        row = similarity[i]
        values = row[columns[mine]]
        order = np.argsort(-values, kind="mergesort")
        mine, values = mine[order], values[order]
        # Counts of the images behind k positives and before the next, which then add up to ranks.
        seen, every = rank[ends[i] : ends[i + 1]], position[ends[i] : ends[i + 1]]
        worst, last, others = values[-1], mine[-1], -1
        for j in range(len(columns)):
            value = row[columns[j]]
            if value < worst or (value == worst and j > last):
                continue
            low, length = 0, len(mine)
            while length > 1:  # no branch on the outcome, which nothing predicts
                half = length // 2
                low += half * (values[low + half - 1] > value)
                length -= half
            low += values[low] > value
            while values[low] == value and mine[low] < j:
                low += 1
            every[low] += 1
            if groups[j] != query_groups[i]:
                seen[low] += 1
                if low == 0 and met[cmc_units[j]] != i:
                    met[cmc_units[j]] = i
                    others += 1
        seen[:] = np.cumsum(seen)
        every[:] = np.cumsum(every) - 1
        first_match_rank[i] = others


def torch_ranks(similarity: Tensor, queries: Images, gallery: Gallery) -> Ranks:
    """The back-end for accelerators, in torch throughout: every positive is compared with its query's whole row."""
    device = similarity.device

    def moved(numbers: Integers) -> Tensor:
        return torch.from_numpy(numbers).to(device)

    scores = similarity[:, moved(gallery.columns)]
    positives, owner, ends = map(moved, gallery.positives(queries))
    groups, query_groups, cmc_units = moved(gallery.images.groups), moved(queries.groups), moved(gallery.cmc_units)
    everyone, step = torch.arange(scores.shape[1], device=device), max(1, PAIRS // scores.shape[1])
    rank, position, first_match_rank = (
        torch.zeros_like(positives),
        torch.zeros_like(positives),
        torch.zeros_like(query_groups),
    )

    def before(rows: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Which images rank before the given one of each row ``[R, G]``, and which of these its query sees."""
        row = scores[rows]
        value = row.gather(1, images[:, None])
        every = (row > value) | ((row == value) & (everyone < images[:, None]))
        return every, every & (groups != query_groups[rows, None])

    for part in (slice(start, start + step) for start in range(0, len(positives), step)):
        every, seen = before(owner[part], positives[part])
        rank[part], position[part] = seen.sum(1) + 1, every.sum(1)
    order = torch.argsort(owner * (scores.shape[1] + 1) + rank)
    positives, rank, position = positives[order], rank[order], position[order]

    valid = torch.nonzero(ends[1:] > ends[:-1]).ravel()
    for rows in valid.split(step):
        _, seen = before(rows, positives[ends[rows]])
        met = torch.zeros(len(rows), int(cmc_units.max()) + 1, dtype=torch.int32, device=device)
        first_match_rank[rows] = (met.index_add_(1, cmc_units, seen.int()) > 0).sum(1)
    return Ranks(*(numbers.cpu().numpy() for numbers in (rank, position, ends, first_match_rank)))


def best_images(
    similarity: Tensor, queries: Images, gallery: Gallery, depth: int
) -> tuple[Integers, NDArray[np.float64]]:
    """The first images ``[Q, min(depth, G)]`` that each query sees, and their similarity; -1 and NaN where it ends."""
    shape = len(queries), min(depth, len(gallery.columns))
    images, values = np.full(shape, -1), np.full(shape, np.nan)
    if depth:
        arrays = (similarity.cpu().numpy(), gallery.columns, gallery.images.groups, queries.groups, images, values)
        _in_threads(_best_of_rows, [(*span, *arrays) for span in _spans(len(queries))])
    return images, values


def _spans(count: int) -> Iterator[tuple[int, int]]:
    """As many ranges as torch uses threads."""
    return pairwise(np.linspace(0, count, torch.get_num_threads() + 1).astype(int).tolist())


def _in_threads(kernel: Callable[..., None], tasks: Sequence[tuple[Any, ...]]) -> None:
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(lambda task: kernel(*task), tasks))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _best_of_rows(
    start: int,
    stop: int,
    similarity: NDArray[Any],
    columns: Integers,
    groups: Integers,
    query_groups: Integers,
    images: Integers,
    values: NDArray[np.float64],
) -> None:
    """Insert each image of a row among the best so far, behind its equals."""
    depth = images.shape[1]
    for i in range(start, stop):
        kept = 0
        for j in range(len(columns)):
            value = similarity[i, columns[j]]
            if groups[j] == query_groups[i] or (kept == depth and not value > values[i, depth - 1]):
                continue
            kept = min(kept + 1, depth)
            k = kept - 1
            while k > 0 and value > values[i, k - 1]:
                images[i, k], values[i, k] = images[i, k - 1], values[i, k - 1]
                k -= 1
            images[i, k], values[i, k] = j, value
