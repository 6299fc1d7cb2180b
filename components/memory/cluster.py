"""Cluster memory with one row for each cluster, its loss, and the rules that update its rows with a batch.

A rule uses every sample of a cluster in turn (:func:`sequential_update`), or a weighted sum of its samples
(:func:`weighted_update`, with the weights of the mean, of the hardest sample, of a random sample, or of
:func:`adaptive_weights`). All rules return new unit rows; a row without samples stays exactly as it was. In all rules
``rows`` ``[C, D]`` and ``features`` ``[B, D]`` have unit rows, ``labels`` ``[B]`` int64 are rows of the memory, and
``momentum`` is the weight of the **old** row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.core.errors import UsageError, did_you_mean

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
        """Compute M f / tau, ``[B, D]`` to ``[B, C]``, with normalised f and in float32 also under autocast."""
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(features.float(), dim=1) @ self.rows.detach().t() / self.temperature

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Compute the cluster contrast: C = -1/B sum_i log softmax(M f_i / tau)[y_i].

        Args:
            features: ``[B, D]`` features of any length; f_i are the normalised ones.
            labels: ``[B]`` rows of the features [y].
        """
        return F.cross_entropy(self.logits(features), labels)

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Update the rows of the clusters in a batch, with features of any length."""
        self.rows = self._rule(self.rows, F.normalize(features.detach().float(), dim=1), labels, self.momentum)


def sequential_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Update rows by each sample in batch order: M_y = unit(mu M_y + (1 - mu) f).

    With a small momentum the last sample of a cluster has nearly all the weight.

    >>> from torch import tensor
    >>> sequential_update(tensor([[1.0, 0.0]]), tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([0, 0]), momentum=0.0)
    tensor([[0., 1.]])
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
    """Update rows by the mean of their samples: M_k = unit(mu M_k + (1 - mu) mean f).

    >>> from torch import tensor
    >>> mean_update(tensor([[1.0, 0.0]]), tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([0, 0]), momentum=0.0)
    tensor([[0.7071, 0.7071]])
    """
    return weighted_update(rows, features, labels, mean_weights(labels), momentum)


def hard_update(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    """Update rows by their hardest sample, the one least similar to the row: M_k = unit(mu M_k + (1 - mu) f*)."""
    return weighted_update(rows, features, labels, hardest_weights(rows, features, labels), momentum)


def weighted_update(rows: Tensor, features: Tensor, labels: Tensor, weights: Tensor, momentum: float) -> Tensor:
    """Update rows by a weighted sum of their samples; ``weights`` ``[B]`` sum to 1 within a cluster."""
    return momentum_step(rows, *weighted_sum(features, labels, weights, len(rows)), momentum)


def weighted_sum(features: Tensor, labels: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Compute the weighted sum of each cluster, ``[count, D]``, and True for clusters with samples, ``[count]``."""
    sums = features.new_zeros(count, features.shape[1]).index_add(0, labels, weights[:, None] * features)
    return sums, present_rows(labels, count)


def present_rows(labels: Tensor, count: int) -> Tensor:
    """Return True for rows with samples, ``[count]``. Unlike ``bincount`` this does not wait for the device."""
    return torch.zeros(count, dtype=torch.bool, device=labels.device).index_fill(0, labels, True)


def momentum_step(rows: Tensor, targets: Tensor, present: Tensor, momentum: float) -> Tensor:
    """Compute unit(mu row + (1 - mu) target) for rows that are ``present`` ``[C]``; other rows stay."""
    return torch.where(present[:, None], F.normalize(momentum * rows + (1 - momentum) * targets, dim=1), rows)


def mean_weights(labels: Tensor) -> Tensor:
    """Return the weights ``[B]`` of the mean: 1 / (number of samples of the cluster)."""
    return 1 / (labels[:, None] == labels).sum(dim=1)


def hardest_weights(rows: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """Return weights ``[B]``: 1 for the sample of a cluster least similar to its row (of equals the first), else 0."""
    return _winners(-_similarity(rows, features, labels), labels, len(rows))


def random_weights(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw weights ``[B]``: 1 for one random sample of each of ``count`` clusters, else 0."""
    scores = torch.rand(len(labels), generator=generator, device=generator.device, dtype=torch.float64)
    return _winners(scores.to(labels.device), labels, count)


def adaptive_weights(
    rows: Tensor, features: Tensor, labels: Tensor, trust: Tensor, temperature: float, exponent: float = 1.0
) -> Tensor:
    """Compute the weights of AMU: w_i = softmax over a cluster's samples of -f_i . M_y / tau_w + gamma log r_i.

    The weights favour unusual but trustworthy samples, and sum to 1 within a cluster. gamma = 0 gives DyCL of DCCC
    (theziqi/DCCC @102d8ef); the factor r_i^gamma is ours alone. A mislabelled sample gets a smaller weight than an
    unusual one only if tau_w exceeds the temperature of the softmax that gives r, divided by gamma.

    Args:
        rows: ``[C, D]`` unit rows [M].
        features: ``[B, D]`` unit features [f].
        labels: ``[B]`` rows of the samples [y].
        trust: ``[B]`` probability in ``[0, 1]`` that the sample belongs to its row, clamped to at least 1e-6 [r].
        temperature: temperature of the preference for unusual samples [tau_w]; infinity leaves the trust alone.
        exponent: exponent of the trust [gamma].
    """
    scores = exponent * trust.clamp(min=1e-6).log() - _similarity(rows, features, labels) / temperature
    weights = (scores - _best(scores, labels, len(rows))[labels]).exp()
    totals = weights.new_zeros(len(rows)).index_add(0, labels, weights)
    return weights / totals[labels]


def _similarity(rows: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    return (features * rows[labels]).sum(dim=1)


def _best(scores: Tensor, labels: Tensor, count: int) -> Tensor:
    """Find the largest score of each cluster; minus infinity for a cluster without samples."""
    return scores.new_full((count,), -torch.inf).scatter_reduce(0, labels, scores, "amax")


def _winners(scores: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return 1 for the first sample with the largest score of its cluster, else 0."""
    position = torch.arange(len(labels), device=labels.device)
    leading = torch.where(scores == _best(scores, labels, count)[labels], position, len(labels))
    first = labels.new_full((count,), len(labels)).scatter_reduce(0, labels, leading, "amin")
    return (first[labels] == position).to(torch.float32)


UpdateRule = Callable[[Tensor, Tensor, Tensor, float], Tensor]
UPDATE_RULES: dict[Update, UpdateRule] = {"sequential": sequential_update, "mean": mean_update, "hard": hard_update}
"""Update rules that take only the batch, by name."""
