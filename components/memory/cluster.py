"""Memories of one row a cluster: the contrast against them, and the rules by which a batch moves their rows.

A rule answers who speaks for a cluster: every sample in turn (:func:`sequential_update`), or a weighted sum of its
samples (:func:`weighted_update`, with the weights of the mean, of the hardest sample, of a random one, or of
:func:`adaptive_weights`). All rules return new unit rows; a row without samples stays exactly as it was.
Throughout: ``rows`` is ``[C, D]`` with unit rows, ``features`` ``[B, D]`` with unit rows, ``labels`` ``[B]`` int64
rows of the memory, ``momentum`` the weight of the **old** row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.core.errors import UsageError, did_you_mean

Update = Literal["sequential", "hard", "mean"]
"""Names of the rules by which the samples of a batch move their clusters' rows."""


class ClusterMemory(nn.Module):
    """Unit rows that features are contrasted with; Cluster Contrast (alibaba/cluster-contrast-reid @57b62e9).

    Gradients reach the features only, and use the rows as they are at the forward pass: rows move when
    :meth:`update` is called, which is meant to happen after the optimiser's step.

    Args:
        rows: ``[C, D]`` start, for example the centroids; made unit.
        temperature: divides the cosine similarities.
        momentum: weight of the old row in an update.
        rule: ``sequential``, ``mean`` or ``hard``.

    Raises:
        UsageError: unknown rule.
    """

    rows: Tensor

    def __init__(
        self, rows: Tensor, temperature: float = 0.05, momentum: float = 0.1, rule: Update = "sequential"
    ) -> None:
        super().__init__()
        if rule not in UPDATE_RULES:
            raise UsageError(f"unknown memory update '{rule}': {did_you_mean(rule, UPDATE_RULES)}")
        self.register_buffer("rows", F.normalize(rows.detach().float(), dim=1), persistent=False)
        self.temperature = temperature
        self.momentum = momentum
        self._rule = UPDATE_RULES[rule]

    def logits(self, features: Tensor) -> Tensor:
        """Cosine similarity to every row over the temperature, ``[B, D]`` to ``[B, C]``; float32 under autocast too."""
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(features.float(), dim=1) @ self.rows.detach().t() / self.temperature

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of the features' rows."""
        return F.cross_entropy(self.logits(features), labels)

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Move the rows of the clusters in a batch; features of any length."""
        self.rows = self._rule(self.rows, F.normalize(features.detach().float(), dim=1), labels, self.momentum)


def sequential_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Each sample in batch order: ``row = unit(momentum * row + (1 - momentum) * feature)``.

    With a small momentum the last sample of a cluster carries nearly all the weight.
    """
    order = labels.argsort(stable=True)
    ordered = labels[order]
    turn = torch.empty_like(labels)
    turn[order] = torch.arange(len(labels), device=labels.device) - torch.searchsorted(ordered, ordered)
    rows = rows.clone()
    for samples in torch.split(turn.argsort(stable=True), turn.bincount().tolist()):
        chosen = labels[samples]
        rows[chosen] = F.normalize(momentum * rows[chosen] + (1 - momentum) * features[samples], dim=1)
    return rows


def mean_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """One step towards the mean of a cluster's samples."""
    return weighted_update(rows, features, labels, mean_weights(labels), momentum)


def hard_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """One step towards the sample least similar to its row."""
    return weighted_update(rows, features, labels, hardest_weights(rows, features, labels), momentum)


def weighted_update(rows: Tensor, features: Tensor, labels: Tensor, weights: Tensor, momentum: float) -> Tensor:
    """One step towards a weighted sum of a cluster's samples; ``weights`` ``[B]`` sum to 1 within a cluster."""
    return momentum_step(rows, *weighted_sum(features, labels, weights, len(rows)), momentum)


def weighted_sum(features: Tensor, labels: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Weighted sums per cluster, ``[count, D]``, and which clusters have samples, ``[count]`` bool."""
    sums = features.new_zeros(count, features.shape[1]).index_add(0, labels, weights[:, None] * features)
    return sums, present_rows(labels, count)


def present_rows(labels: Tensor, count: int) -> Tensor:
    """Which of ``count`` rows have samples, ``[count]`` bool; unlike ``bincount`` without waiting for the device."""
    return torch.zeros(count, dtype=torch.bool, device=labels.device).index_fill(0, labels, True)


def momentum_step(rows: Tensor, targets: Tensor, present: Tensor, momentum: float) -> Tensor:
    """Unit ``momentum * row + (1 - momentum) * target`` where ``present`` ``[C]``, the old row elsewhere."""
    return torch.where(present[:, None], F.normalize(momentum * rows + (1 - momentum) * targets, dim=1), rows)


def mean_weights(labels: Tensor) -> Tensor:
    """Weights ``[B]`` that give a cluster's mean: one over the number of its samples."""
    return 1 / (labels[:, None] == labels).sum(dim=1)


def hardest_weights(rows: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """Weights ``[B]``: 1 for the sample of each cluster least similar to its row (the first of equals), else 0."""
    return _winners(-_similarity(rows, features, labels), labels, len(rows))


def random_weights(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Weights ``[B]``: 1 for one random sample of each of ``count`` clusters, else 0."""
    scores = torch.rand(len(labels), generator=generator, device=generator.device, dtype=torch.float64)
    return _winners(scores.to(labels.device), labels, count)


def adaptive_weights(
    rows: Tensor, features: Tensor, labels: Tensor, trust: Tensor, temperature: float, exponent: float = 1.0
) -> Tensor:
    """Weights ``[B]`` that favour unusual but trustworthy samples, summing to 1 within a cluster.

    The softmax over a cluster's samples of ``-similarity / temperature + exponent * log(trust)``. Exponent 0 is
    DyCL of DCCC (theziqi/DCCC @102d8ef). A mislabelled sample can only be told from an unusual one if
    ``temperature`` exceeds the temperature of the trust's softmax over ``exponent``.

    Args:
        rows: ``[C, D]`` unit rows.
        features: ``[B, D]`` unit features.
        labels: ``[B]`` rows of the samples.
        trust: ``[B]`` probability in ``[0, 1]`` that the sample belongs to its row; floored at 1e-6.
        temperature: how strongly unusual samples are favoured; infinite weighs by trust alone.
        exponent: how strongly ambiguous samples are held back.
    """
    scores = exponent * trust.clamp(min=1e-6).log() - _similarity(rows, features, labels) / temperature
    weights = (scores - _best(scores, labels, len(rows))[labels]).exp()
    totals = weights.new_zeros(len(rows)).index_add(0, labels, weights)
    return weights / totals[labels]


def _similarity(rows: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    return (features * rows[labels]).sum(dim=1)


def _best(scores: Tensor, labels: Tensor, count: int) -> Tensor:
    """Largest score of each cluster; minus infinity where it has no sample."""
    return scores.new_full((count,), -torch.inf).scatter_reduce(0, labels, scores, "amax")


def _winners(scores: Tensor, labels: Tensor, count: int) -> Tensor:
    """1 for the first sample that holds its cluster's largest score, else 0."""
    position = torch.arange(len(labels), device=labels.device)
    leading = torch.where(scores == _best(scores, labels, count)[labels], position, len(labels))
    first = labels.new_full((count,), len(labels)).scatter_reduce(0, labels, leading, "amin")
    return (first[labels] == position).to(torch.float32)


UpdateRule = Callable[[Tensor, Tensor, Tensor, float], Tensor]
UPDATE_RULES: dict[Update, UpdateRule] = {"sequential": sequential_update, "mean": mean_update, "hard": hard_update}
"""Rules that need nothing but the batch, by name."""
