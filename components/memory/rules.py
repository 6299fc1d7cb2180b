"""Rules that update the rows of a memory with a batch.

In all rules ``rows`` ``[C, D]`` and ``features`` ``[B, D]`` have unit rows, ``labels`` ``[B]`` int64 are rows of the
memory, and ``momentum`` is the weight of the **old** row. All rules return new unit rows; a row without samples stays
exactly as it was.

A rule computes the new row of every sample's cluster, so samples of a cluster compute it alike and any of them may
write it. The number of clusters in a batch is therefore not needed, and the host does not wait for the device.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Update = Literal["sequential", "hard", "mean"]
"""Names of the rules that update the rows of the clusters in a batch."""


def sequential_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Update rows by each sample in batch order: M_y = unit(mu M_y + (1 - mu) f).

    With a small momentum the last sample of a cluster has nearly all the weight, and only the last samples are used:
    as many as :func:`samples_that_matter`. The rows are divided by mu, which changes no direction
    (:func:`take_steps`).

    Args:
        rows: ``[C, D]``; see the module for all but the last.
        features: ``[B, D]``, of unit length or longer.
        labels: ``[B]``.
        momentum: weight of the old row.

    >>> from torch import tensor
    >>> sequential_update(tensor([[1.0, 0.0]]), tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([0, 0]), momentum=0.1)
    tensor([[0.1104, 0.9939]])
    """
    rounds = rounds_of(momentum, rows.dtype, len(labels), most=0)
    return take_steps(rows, features * step_length(momentum), labels, rounds)


def take_steps(rows: Tensor, steps: Tensor, labels: Tensor, rounds: int) -> Tensor:
    """Update rows by each sample in batch order: M_y = unit(M_y + step).

    Args:
        rows: ``[C, D]`` unit rows.
        steps: ``[B, D]``.
        labels: ``[B]``.
        rounds: number of last samples of a cluster that determine its row; 0 to count those of the largest cluster.
    """
    ordered, order = labels.sort(stable=True)
    ends = torch.searchsorted(ordered, ordered, right=True)
    rounds = rounds or int((ends - torch.searchsorted(ordered, ordered)).max())
    places = ends - torch.arange(rounds, 0, -1, device=labels.device)[:, None]
    inside = ordered[places] == ordered  # a place before the cluster, also a negative one, has a sample of another
    moved = rows[ordered]
    for step in steps[order[places]] * inside[:, :, None]:
        moved = torch.addcdiv(step, moved, torch.linalg.vector_norm(moved, dim=1, keepdim=True))
    return rows.index_copy(0, ordered, F.normalize(moved, dim=1))


def step_length(momentum: float) -> float:
    """Return the weight of a sample in a sequential update, divided by the weight of the old row."""
    return (1 - momentum) / max(momentum, LEAST_MOMENTUM)


def rounds_of(momentum: float, dtype: torch.dtype, samples: int, most: int) -> int:
    """Return how many last samples of a cluster a sequential update takes; 0 if the host has to count them.

    Args:
        momentum: weight of the old row.
        dtype: type of the rows.
        samples: number of samples of all clusters.
        most: largest number of samples of a cluster; 0 if unknown.
    """
    rounds = min(samples_that_matter(momentum, dtype), samples)
    if most:
        return min(rounds, most)
    return rounds if rounds <= MOST_ROUNDS else 0


LEAST_MOMENTUM = 1e-15
"""Stand-in for a momentum of 0, which the quotient (1 - mu) / mu needs; the old row vanishes in rounding."""

MOST_ROUNDS = 32
"""Largest number of samples of a cluster that a sequential update takes without asking for the size of clusters."""


def samples_that_matter(momentum: float, dtype: torch.dtype) -> int:
    """Return the number of last samples that determine a row of :func:`sequential_update` up to rounding.

    A sample takes all unit rows to within the angle arcsin(mu / (1 - mu)) of itself, hence to within 2 mu / (1 - mu) of
    each other. As |mu M + (1 - mu) f| >= 1 - 2 mu, each further sample multiplies their distance by at most
    mu / (1 - 2 mu). After the returned number of samples it is below the rounding error of ``dtype``.

    >>> [samples_that_matter(momentum, torch.float32) for momentum in (0.0, 0.1, 0.2)]
    [1, 8, 15]
    """
    shrinks = momentum / (1 - 2 * momentum) if momentum < 1 / 3 else 1.0
    if not 0 < shrinks < 1:
        return 1 if momentum == 0 else sys.maxsize
    apart = torch.finfo(dtype).eps / (2 * momentum / (1 - momentum))
    return 1 + math.ceil(math.log(apart) / math.log(shrinks))


def mean_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Update rows by the mean of their samples: M_k = unit(mu M_k + (1 - mu) mean f).

    >>> from torch import tensor
    >>> mean_update(tensor([[1.0, 0.0]]), tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([0, 0]), momentum=0.0)
    tensor([[0.7071, 0.7071]])
    """
    return momentum_step(rows, labels, mean_of_mates(features, mates(labels)), momentum)


def hard_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Update rows by their hardest sample, the one least similar to the row: M_k = unit(mu M_k + (1 - mu) f*)."""
    return momentum_step(rows, labels, features[hardest_mate(rows[labels], features, mates(labels))], momentum)


def momentum_step(rows: Tensor, labels: Tensor, targets: Tensor, momentum: float) -> Tensor:
    """Set rows to unit(mu row + (1 - mu) target); ``targets`` ``[B, D]`` of samples with the same label are equal."""
    return rows.index_copy(0, labels, F.normalize(torch.lerp(targets, rows[labels], momentum), dim=1))


def mates(labels: Tensor) -> Tensor:
    """Return which samples belong to the same cluster, ``[B, B]`` bool.

    >>> mates(torch.tensor([4, 7, 4]))
    tensor([[ True, False,  True],
            [False,  True, False],
            [ True, False,  True]])
    """
    return labels[..., :, None] == labels[..., None, :]


def mean_of_mates(values: Tensor, mates: Tensor) -> Tensor:
    """Compute the mean of ``values`` ``[B, D]`` over the samples of each sample's cluster, ``[B, D]``."""
    return (mates / mates.sum(dim=-1, keepdim=True, dtype=values.dtype)) @ values


def hardest_mate(own: Tensor, features: Tensor, mates: Tensor) -> Tensor:
    """Find, for each sample, the sample of its cluster least similar to the row ``own`` ``[B, D]`` of that cluster.

    Returns:
        ``[B]`` positions in the batch; of equals the first.
    """
    return torch.where(mates, (features * own).sum(dim=1), torch.inf).argmin(dim=1)


def random_mate(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a random sample of each cluster, and return its position ``[B]`` for each sample of the cluster.

    The generator is on the device of the labels ``[B]``.
    """
    scores = torch.rand(len(labels), generator=generator, device=labels.device, dtype=torch.float64)
    return torch.where(mates(labels), scores, -torch.inf).argmax(dim=1)


def adaptive_shares(
    own: Tensor, features: Tensor, mates: Tensor, trust: Tensor, temperature: float, exponent: float = 1.0
) -> Tensor:
    """Compute the weights of AMU: w_i = softmax over a cluster's samples of -f_i . M_y / tau_w + gamma log r_i.

    The weights favour unusual but trustworthy samples, and sum to 1 within a cluster. gamma = 0 gives DyCL of DCCC
    (theziqi/DCCC @102d8ef); the factor r_i^gamma is ours alone. A mislabelled sample gets a smaller weight than an
    unusual one only if tau_w exceeds the temperature of the softmax that gives r, divided by gamma.

    Args:
        own: ``[B, D]`` unit row of each sample [M_y].
        features: ``[B, D]`` unit features [f].
        mates: ``[B, B]`` samples of the same cluster.
        trust: ``[B]`` probability in ``[0, 1]`` that the sample belongs to its row, clamped to at least 1e-6 [r].
        temperature: temperature of the preference for unusual samples [tau_w]; with infinity, only the trust counts.
        exponent: exponent of the trust [gamma].

    Returns:
        ``[B, B]``: the weight of each sample (column) in the row of each sample's cluster. The diagonal has the w_i.
    """
    scores = exponent * trust.clamp(min=1e-6).log() - (features * own).sum(dim=-1) / temperature
    return torch.where(mates, scores[..., None, :], -torch.inf).softmax(dim=-1)


UpdateRule = Callable[[Tensor, Tensor, Tensor, float], Tensor]
UPDATE_RULES: dict[Update, UpdateRule] = {"sequential": sequential_update, "mean": mean_update, "hard": hard_update}
"""Update rules that take only the batch, by name."""
