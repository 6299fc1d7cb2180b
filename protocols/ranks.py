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
    from usvi_bench.protocols.compiled.ranks import rank_rows  # compiled, long to import

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
    _in_threads(rank_rows, tasks)
    return results


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
        from usvi_bench.protocols.compiled.ranks import best_of_rows

        arrays = (similarity.cpu().numpy(), gallery.columns, gallery.images.groups, queries.groups, images, values)
        _in_threads(best_of_rows, [(*span, *arrays) for span in _spans(len(queries))])
    return images, values


def _spans(count: int) -> Iterator[tuple[int, int]]:
    """As many ranges as torch uses threads."""
    return pairwise(np.linspace(0, count, torch.get_num_threads() + 1).astype(int).tolist())


def _in_threads(kernel: Callable[..., None], tasks: Sequence[tuple[Any, ...]]) -> None:
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(lambda task: kernel(*task), tasks))
