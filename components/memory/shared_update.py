"""Update of several memories at once: each row by the samples of one modality, or of both with equal weight.

In all functions ``rows`` is ``[R, D]`` with unit rows and ``momentum`` is the weight of the old row. A row without
samples stays exactly as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.memory.rules import UPDATE_RULES, Update, adaptive_shares, mates


@dataclass(frozen=True)
class UpdateSamples:
    """Samples of both modalities in one step, for the update of P memories of each modality.

    Attributes:
        features: ``[B, D]`` unit features, without gradient.
        labels: ``[P, B]`` rows in the memories of the sample's modality: its own, then one that both modalities share.
        infrared: ``[B]`` bool: whether the sample is infrared.
        trust: ``[P, B]`` probability that the sample belongs to its row.
    """

    features: Tensor
    labels: Tensor
    infrared: Tensor
    trust: Tensor

    def groups(self, rows: int) -> Tensor:
        """Number the samples of one modality in one of ``rows`` rows: ``[P, B]``, below 2 ``rows``."""
        return torch.add(self.labels, self.infrared, alpha=rows)


def plain_update(rows: Tensor, samples: UpdateSamples, rule: Update, momentum: float) -> Tensor:
    """Update the rows by each modality alone with a named rule, then average the updated rows."""
    groups = samples.groups(len(rows)).flatten()
    features = samples.features.repeat(len(samples.labels), 1)
    alone = UPDATE_RULES[rule](rows.repeat(2, 1), features, groups, momentum).unflatten(0, (2, -1))
    there = rows.new_zeros(2 * len(rows)).index_fill(0, groups, 1).view(2, -1, 1)
    together = normalize((alone * there).sum(dim=0))  # a sum has the direction of the mean
    return torch.where(there.amax(dim=0) > 0, together, rows)


def adaptive_update(
    rows: Tensor, samples: UpdateSamples, temperature: float, exponent: float, momentum: float
) -> tuple[Tensor, Tensor]:
    """Update memories adaptively (AMU): M_k = unit(mu M_k + (1 - mu) g_k), g_k = sum_i w_i f_i.

    The weights w are those of :func:`usvi_bench.components.memory.rules.adaptive_shares`. In a memory that both
    modalities share, g_k is the mean of the unit(g_k) of each modality that has samples of row k. The form is our
    reconstruction after DyCL of DCCC (theziqi/DCCC @102d8ef); equal weight of the modalities is ours alone.

    Args:
        rows: rows of all memories [M].
        samples: samples of both modalities.
        temperature: temperature of the preference for unusual samples [tau_w].
        exponent: exponent of the trust [gamma].
        momentum: weight of the old row [mu].

    Returns:
        Results of :func:`weighted_update`.
    """
    own, together = rows[samples.labels], mates(samples.groups(len(rows)))
    shares = adaptive_shares(own, samples.features, together, samples.trust, temperature, exponent)
    return weighted_update(rows, own, samples, together, shares, momentum)


def weighted_update(
    rows: Tensor, own: Tensor, samples: UpdateSamples, together: Tensor, shares: Tensor, momentum: float
) -> tuple[Tensor, Tensor]:
    """Update memories by weighted means of the samples, as :func:`adaptive_update` does with its own weights.

    Args:
        rows: rows of all memories [M].
        own: ``[P, B, D]`` row of each sample.
        samples: samples of both modalities.
        together: ``[P, B, B]`` samples of one modality in the same row.
        shares: ``[P, B, B]`` weight of each sample (column) in the row of each sample [w].
        momentum: weight of the old row [mu].

    Returns:
        The updated rows; and ``[2, P, B]``: the weight of each sample, and the number of samples of its modality in
        its row.
    """
    s = samples
    counts = together.sum(dim=2, dtype=rows.dtype)
    targets = shares @ s.features
    if len(targets) > 1:  # over the samples of a row, the weights of each modality have the same sum
        balance = mates(s.labels[1]) / counts[1]
        shared = (balance / balance.sum(dim=1, keepdim=True)) @ normalize(targets[1])
        targets = torch.stack([targets[0], shared])
    moved = normalize(torch.lerp(targets, own, momentum), dim=2)
    moved_rows = rows.index_copy(0, s.labels.flatten(), moved.flatten(0, 1))
    return moved_rows, torch.stack([shares.diagonal(dim1=1, dim2=2), counts])


def effective_samples(weights: Tensor, counts: Tensor) -> Tensor:
    """Compute the effective number of samples of a row: number of rows with samples / sum of squared weights.

    Args:
        weights: ``[..., B]`` weight of each sample.
        counts: ``[..., B]`` number of samples of its row; infinite for a sample without a row.
    """
    return (1 / counts).sum(dim=-1) / (weights**2).sum(dim=-1)
