"""Cluster memory with one row for each cluster, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.memory.rules import UPDATE_RULES, Update, rounds_of, step_length, take_steps
from usvi_bench.components.unit import unit
from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.types import OUTLIER


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
        unmatched: some labels may be -1. If False, all samples count.
    """
    if not unmatched:
        return F.cross_entropy(logits, labels)
    total = F.cross_entropy(logits, labels, ignore_index=OUTLIER, reduction="sum")
    return total / (labels != OUTLIER).sum().clamp(min=1)
