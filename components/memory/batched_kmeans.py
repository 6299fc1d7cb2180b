"""k-means of many small sets at once, in torch operations on any device.

Lloyd's algorithm needs only inner products: with weights ``w_k`` of the points in centre ``k`` and the Gram matrix
``G`` of the points, ``|x_i - c_k|^2 = G_ii - 2 (G w_k)_i + w_k^T G w_k``. Sets of similar size share a padded batch,
and all restarts of a set share its Gram matrix. Starting points are drawn by the rule of scikit-learn (greedy
k-means++, Arthur and Vassilvitskii, SODA 2007). Parts are not scikit-learn's bit for bit, because the draws differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

RESTARTS = 10
"""Number of starts of k-means; the one with the least inertia is kept."""
ITERATIONS = 300
"""Largest number of iterations of a start."""
CHECK_EVERY = 4
"""Number of iterations between checks of which sets have converged; each check waits for a GPU."""

_SETS, _ENTRIES = 32, 1 << 26
"""Largest number of sets in a batch, and of coordinates or weights in it."""


@dataclass(frozen=True)
class _Points:
    """Points of padded sets ``[B, M, D]``, in the form that k-means needs: their inner products.

    Attributes:
        coordinates: ``[B, M, D]``; rows of padding are zero.
        gram: inner products ``[B, M, M]``, or None if coordinates are fewer than points.
        squares: squared lengths ``[B, M]``.
        real: ``[B, M]`` 1 for a point, 0 for padding.
    """

    coordinates: Tensor
    gram: Tensor | None
    squares: Tensor
    real: Tensor

    @classmethod
    def of(cls, coordinates: Tensor, real: Tensor) -> _Points:
        few = coordinates.shape[1] <= coordinates.shape[2]
        gram = coordinates @ coordinates.mT if few else None
        squares = coordinates.square().sum(2) if gram is None else gram.diagonal(dim1=1, dim2=2)
        return cls(coordinates, gram, squares.contiguous(), real)

    def __getitem__(self, sets: Tensor) -> _Points:
        """Return some of the sets; coordinates are left out where the Gram matrix is enough."""
        gram = None if self.gram is None else self.gram[sets]
        coordinates = self.coordinates[sets] if gram is None else self.coordinates[:0]
        return _Points(coordinates, gram, self.squares[sets], self.real[sets])

    def products(self, weights: Tensor) -> Tensor:
        """Compute the inner products ``[B, C, M]`` of all points with sums of points weighted by ``[B, C, M]``."""
        return weights @ self.gram if self.gram is not None else (weights @ self.coordinates) @ self.coordinates.mT

    def distances(self, index: Tensor) -> Tensor:
        """Compute the squared distances ``[B, C, M]`` of points ``[B, C]`` from all points; 0 for padding."""
        sets = torch.arange(len(index), device=index.device)[:, None]
        if self.gram is not None:
            products = self.gram[sets, index]
        else:
            products = self.coordinates[sets, index] @ self.coordinates.mT
        squares = self.squares.gather(1, index)[:, :, None] + self.squares[:, None]
        return torch.sub(squares, products, alpha=2).clamp_(min=0).mul_(self.real[:, None])


def part_means(points: Tensor, groups: Tensor, sizes: list[int], count: int, generator: Generator) -> Tensor:
    """Split sets by k-means and compute the mean of each part, relative to the mean of its set.

    Equal arguments give equal results on a CPU, and the draws do not depend on the device.

    Args:
        points: ``[N, D]`` float32.
        groups: ``[N]`` order of the points by set: the first ``sizes[0]`` entries are the rows of set 0, and so on.
        sizes: number of points of every set.
        count: parts of a set [S].
        generator: generator of the starting points, on the CPU.

    Returns:
        ``[C, S, D]``; 0 for a set of at most ``count`` points, or if k-means leaves a part empty.
    """
    means = points.new_zeros(len(sizes), count, points.shape[1])
    trials = 2 + int(math.log(count))  # candidates for every starting point, as many as in scikit-learn
    draws = torch.rand(len(sizes), RESTARTS, count, trials, generator=generator, dtype=torch.float64)
    starts = torch.tensor([0, *sizes]).cumsum(0)[:-1]
    for chosen in _batches(sizes, count, points.shape[1]):
        lengths = torch.tensor([sizes[c] for c in chosen])
        place = torch.arange(int(lengths.max()))
        real = (place < lengths[:, None]).to(points)
        index = (starts[chosen][:, None] + place.minimum(lengths[:, None] - 1)).to(points.device)
        members = points[groups[index]]
        members = (members - _mean(members, real)) * real[:, :, None]
        means[chosen] = _split(_Points.of(members, real), draws[chosen].to(points.device))
    return means


def _mean(members: Tensor, real: Tensor) -> Tensor:
    return (real[:, None] @ members) / real.sum(1)[:, None, None]


def _batches(sizes: list[int], count: int, dimension: int) -> Iterator[list[int]]:
    """Yield batches of sets of similar size, the largest sets first."""
    order = sorted((c for c, size in enumerate(sizes) if size > count), key=lambda c: -sizes[c])
    while order:
        entries = sizes[order[0]] * max(dimension, RESTARTS * count)
        step = max(1, min(_SETS, _ENTRIES // entries))
        yield order[:step]
        order = order[step:]


def _split(points: _Points, draws: Tensor) -> Tensor:
    """Run k-means from all starts and return the means ``[B, S, D]`` of the best one."""
    weights = _one_hot(_starting_points(points, draws), points)
    active = torch.arange(len(weights), device=weights.device)
    part = weights.new_full((len(weights), RESTARTS, points.real.shape[1]), -1, dtype=torch.int64)
    for first in range(0, ITERATIONS, CHECK_EVERY):
        subset, moving, own = points[active], weights[active], part[active]
        for _ in range(min(CHECK_EVERY, ITERATIONS - first)):
            before, (own, moving) = own, _iterate(subset, moving)
        weights[active], part[active] = moving, own
        active = active[(own != before).flatten(1).any(1)]
        if not len(active):
            break
    distance, _ = _nearest(points, weights)
    inertia = (distance * points.real[:, None]).sum(2)
    best = inertia.argmin(1)
    sets = torch.arange(len(best), device=best.device)
    parts = _membership(part[sets, best][:, None], points, draws.shape[2])[:, 0]
    full = (parts.sum(2) > 0).all(1)
    return weights[sets, best] @ points.coordinates * full[:, None, None]


def _starting_points(points: _Points, draws: Tensor) -> Tensor:
    """Draw starting points ``[B, R, S]`` by greedy k-means++ from uniform draws ``[B, R, S, L]``.

    A point is drawn with a probability proportional to its squared distance from the nearest point chosen before. Of
    ``L`` such candidates the one is kept that leaves the least sum of squared distances.
    """
    _, restarts, count, trials = draws.shape
    last = points.real.sum(1).long()[:, None] - 1
    chosen = [(draws[:, :, 0, 0] * (last + 1)).long().minimum(last)]
    closest = points.distances(chosen[0])
    for j in range(1, count):
        sums = _running_sums(closest.double())
        drawn = torch.searchsorted(sums, draws[:, :, j] * sums[:, :, -1:], right=True).minimum(last[:, :, None])
        candidates = points.distances(drawn.flatten(1)).unflatten(1, (restarts, trials))
        candidates = torch.minimum(candidates, closest[:, :, None])
        best = candidates.sum(3).argmin(2)[:, :, None]
        closest = candidates.take_along_dim(best[..., None], 2).squeeze(2)
        chosen.append(drawn.take_along_dim(best, 2).squeeze(2))
    return torch.stack(chosen, 2)


def _running_sums(values: Tensor) -> Tensor:
    """Compute running sums over the last dimension; ``cumsum`` does not repeat on a GPU."""
    shift = 1
    while shift < values.shape[-1]:
        values = values + pad(values[..., :-shift], (shift, 0))
        shift *= 2
    return values


def _one_hot(index: Tensor, points: _Points) -> Tensor:
    """Make the weights ``[B, R, S, M]`` of centres that are single points ``[B, R, S]``."""
    weights = points.real.new_zeros(*index.shape, points.real.shape[1])
    return weights.scatter_(3, index[..., None], 1)


def _iterate(points: _Points, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Assign points to the nearest centres, and return parts ``[B, R, M]`` and the weights of the parts' means.

    The centre of an empty part stays where it is.
    """
    part = _nearest(points, weights)[1]
    members = _membership(part, points, weights.shape[2])
    number = members.sum(3, keepdim=True)
    return part, torch.where(number > 0, members / number.clamp(min=1), weights)


def _nearest(points: _Points, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the squared distance of every point from the nearest centre, and this centre, both ``[B, R, M]``."""
    products = points.products(weights.flatten(1, 2)).view_as(weights)
    squares = (weights * products).sum(3, keepdim=True)
    least, part = torch.sub(squares, products, alpha=2).min(2)
    return (least + points.squares[:, None]).clamp_(min=0), part


def _membership(part: Tensor, points: _Points, count: int) -> Tensor:
    """Return 1 where a point is in a part, ``[B, R, S, M]``; padding is in none."""
    slots = torch.arange(count, device=part.device)[:, None]
    return (part[:, :, None] == slots) * points.real[:, None, None]
