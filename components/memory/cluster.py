"""Cluster memory with one row for each cluster, its loss, and the rules that update its rows with a batch.

In all rules ``rows`` ``[C, D]`` and ``features`` ``[B, D]`` have unit rows, ``labels`` ``[B]`` int64 are rows of the
memory, and ``momentum`` is the weight of the **old** row. All rules return new unit rows; a row without samples stays
exactly as it was.

A rule computes the new row of every sample's cluster, so samples of a cluster compute it alike and any of them may
write it. The number of clusters in a batch is therefore not needed, and the host does not wait for the device.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.unit import unit
from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.types import OUTLIER

Update = Literal["sequential", "hard", "mean"]
"""Names of the rules that update the rows of the clusters in a batch."""


class ClusterMemory(nn.Module):
    """Cluster memory: one unit row for each cluster, as in Cluster Contrast (alibaba/cluster-contrast-reid @57b62e9).

    Gradients reach the features only, and use the rows as they are at the forward pass. Rows change in :meth:`update`,
    which is called after the step of the optimiser.

    Args:
        rows: ``[C, D]`` start of the rows, for example the centroids; normalised here [M].
        temperature: divides the cosine similarities [tau].
        momentum: weight of the old row in an update [mu].
        rule: ``sequential``, ``mean`` or ``hard``.

    Raises:
        UsageError: unknown rule.
    """

    rows: Tensor
    state: ClassVar[str] = "rows"
    """Name of the buffer that an update replaces, ``[..., C, D]``."""
    most_samples: int = 0
    """Largest number of samples of a row in the next update; 0 if unknown, so that the host may have to wait for it."""

    def __init__(
        self, rows: Tensor, temperature: float = 0.05, momentum: float = 0.1, rule: Update = "sequential"
    ) -> None:
        super().__init__()
        if rule not in UPDATE_RULES:
            raise UsageError(f"unknown memory update '{rule}': {did_you_mean(rule, UPDATE_RULES)}")
        self.register_buffer(self.state, F.normalize(rows.detach().float(), dim=-1), persistent=False)
        self.temperature = temperature
        self.momentum = momentum
        self.rule = rule

    def logits(self, features: Tensor) -> Tensor:
        """Compute M f / tau, ``[B, D]`` to ``[B, C]``, with normalised f and in float32 also under autocast."""
        with torch.autocast(features.device.type, enabled=False):
            return unit(features.float()) @ self.rows.detach().t() / self.temperature

    def loss(self, features: Tensor, labels: Tensor, unmatched: bool = False) -> Tensor:
        """Compute the cluster contrast: C = -1/B sum_i log softmax(M f_i / tau)[y_i].

        Args:
            features: ``[B, D]`` features of any length; f_i are the normalised ones.
            labels: ``[B]`` rows of the features [y].
            unmatched: some labels may be -1; these samples take no part.
        """
        return cross_entropy(self.logits(features), labels, unmatched)

    def update(self, features: Tensor, labels: Tensor, unmatched: bool = False) -> None:
        """Update the rows of the clusters in a batch; arguments are those of :meth:`loss`."""
        update_together([(self, features, labels)], unmatched)

    def moved(self, state: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """Compute a state after an update by unit features, by a rule that is not sequential."""
        return UPDATE_RULES[self.rule](state, features, labels, self.momentum)

    def steps(self, features: Tensor) -> tuple[Tensor, float]:
        """Return unit features and their weight beside an old row of weight 1, for the sequential rule."""
        return unit(features.float()), step_length(self.momentum)

    def rounds(self, samples: int) -> int:
        """Return how many of the last samples of a cluster determine its row; 0 if the host has to count them."""
        return rounds_of(self.momentum, self.rows.dtype, samples, self.most_samples)


Updates = Sequence[tuple[ClusterMemory, Tensor, Tensor]]
"""Updates: memory, features ``[B, D]`` of any length, and labels ``[B]``."""


@torch.no_grad()
def update_together(updates: Updates, unmatched: bool = False) -> None:
    """Update memories one after another, as :meth:`ClusterMemory.update` does, in as few passes as possible.

    A pass updates all memories of one kind. On a GPU, it takes as long as the update of one memory. By the sequential
    rule, also all updates of a memory are in one pass. By another rule, each further update of a memory has its own.

    Args:
        updates: updates, in order; a memory may have several. Memories that are not sequential have one momentum.
        unmatched: some labels may be -1; these samples change nothing.
    """
    passes: dict[tuple[object, ...], list[tuple[ClusterMemory, Tensor, Tensor]]] = {}
    for number, update in enumerate(updates):
        memory = update[0]
        turn = 0 if memory.rule == "sequential" else sum(memory is earlier for earlier, *_ in updates[:number])
        passes.setdefault((turn, type(memory).moved, memory.rule), []).append(update)
    for together in passes.values():
        _update_in_one_pass(together, unmatched)


def _update_in_one_pass(updates: Updates, unmatched: bool) -> None:
    owners, features, labels = zip(*updates, strict=True)
    memories = list(dict.fromkeys(owners))
    sizes = [len(memory.rows) + unmatched for memory in memories]
    starts = {memory: sum(sizes[:i]) for i, memory in enumerate(memories)}
    states = [getattr(memory, memory.state) for memory in memories]
    if unmatched:  # each memory gets a row that is dropped afterwards
        labels = tuple(part.where(part != OUTLIER, len(own.rows)) for own, part in zip(owners, labels, strict=True))
        states = [F.pad(state, (0, 0, 0, 1)) for state in states]
    rows = _joined([part + starts[own] if starts[own] else part for own, part in zip(owners, labels, strict=True)])
    state = _joined(states, dim=-2)
    if owners[0].rule == "sequential":
        steps, lengths = zip(*(own.steps(part) for own, part in zip(owners, features, strict=True)), strict=True)
        rounds = [memory.rounds(len(rows)) for memory in memories]
        moved = take_steps(state, _joined(torch._foreach_mul(steps, lengths)), rows, max(rounds) if all(rounds) else 0)
    else:
        moved = owners[0].moved(state, _joined([unit(part.float()) for part in features]), rows)
    for memory, part in zip(memories, moved.split(sizes, dim=-2), strict=True):
        setattr(memory, memory.state, part[..., : len(memory.rows), :])


def _joined(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)


def cross_entropy(logits: Tensor, labels: Tensor, unmatched: bool = False) -> Tensor:
    """Compute the cross-entropy, averaged over the samples whose label is not -1; 0 if there is none.

    Args:
        logits: ``[B, C]``.
        labels: ``[B]``.
        unmatched: some labels may be -1. Without them, counting the others would be in vain.
    """
    if not unmatched:
        return F.cross_entropy(logits, labels)
    total = F.cross_entropy(logits, labels, ignore_index=OUTLIER, reduction="sum")
    return total / (labels != OUTLIER).sum().clamp(min=1)


def sequential_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float, most: int = 0) -> Tensor:
    """Update rows by each sample in batch order: M_y = unit(mu M_y + (1 - mu) f).

    With a small momentum the last sample of a cluster has nearly all the weight, and only the last samples are used:
    as many as :func:`samples_that_matter`. The rows are divided by mu, which changes no direction
    (:func:`take_steps`).

    Args:
        rows: ``[C, D]``; see the module for all but the last.
        features: ``[B, D]``, of unit length or longer.
        labels: ``[B]``.
        momentum: weight of the old row.
        most: largest number of samples of a cluster; 0 if unknown, so that the host may have to wait for it.

    >>> from torch import tensor
    >>> sequential_update(tensor([[1.0, 0.0]]), tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([0, 0]), momentum=0.1)
    tensor([[0.1104, 0.9939]])
    """
    rounds = rounds_of(momentum, rows.dtype, len(labels), most)
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
        temperature: temperature of the preference for unusual samples [tau_w]; infinity leaves the trust alone.
        exponent: exponent of the trust [gamma].

    Returns:
        ``[B, B]``: the weight of each sample (column) in the row of each sample's cluster. The diagonal has the w_i.
    """
    scores = exponent * trust.clamp(min=1e-6).log() - (features * own).sum(dim=-1) / temperature
    return torch.where(mates, scores[..., None, :], -torch.inf).softmax(dim=-1)


UpdateRule = Callable[[Tensor, Tensor, Tensor, float], Tensor]
UPDATE_RULES: dict[Update, UpdateRule] = {"sequential": sequential_update, "mean": mean_update, "hard": hard_update}
"""Update rules that take only the batch, by name."""
