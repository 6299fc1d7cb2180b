"""Update of a memory by the samples of one modality, or of both with equal weight in every row.

In all functions ``rows`` is ``[C, D]`` with unit rows, ``samples`` has an entry for every modality, and ``momentum`` is
the weight of the old row. A row without samples stays exactly as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.memory.cluster import (
    UPDATE_RULES,
    Update,
    adaptive_weights,
    momentum_step,
    present_rows,
    weighted_sum,
)
from usvi_bench.components.memory.hybrid import average


@dataclass(frozen=True)
class UpdateSamples:
    """Samples of one modality in one step, for the update of one memory.

    Attributes:
        features: ``[B, D]`` unit features, without gradient.
        labels: ``[B]`` rows of the memory.
        trust: ``[B]`` probability that the sample belongs to its row.
    """

    features: Tensor
    labels: Tensor
    trust: Tensor


def plain_update(rows: Tensor, samples: list[UpdateSamples], rule: Update, momentum: float) -> Tensor:
    """Update the rows by each modality alone with a named rule, then average the updated rows."""
    moved = [UPDATE_RULES[rule](rows, s.features, s.labels, momentum) for s in samples]
    if len(moved) == 1:
        return moved[0]
    present = [present_rows(s.labels, len(rows)) for s in samples]
    return momentum_step(rows, *average(moved, present), momentum=0.0)


def adaptive_update(
    rows: Tensor, samples: list[UpdateSamples], temperature: float, exponent: float, momentum: float
) -> tuple[Tensor, list[Tensor]]:
    """Update a memory adaptively (AMU): M_k = unit(mu M_k + (1 - mu) g_k), g_k = sum_i w_i f_i.

    The weights w are those of :func:`usvi_bench.components.memory.cluster.adaptive_weights`. If both modalities have
    samples of a row, g_k is the mean of unit(g_k) of each. The form is our reconstruction after DyCL of DCCC
    (theziqi/DCCC @102d8ef); equal weight of the modalities is ours alone.

    Args:
        rows: rows of the memory [M].
        samples: samples of each modality.
        temperature: temperature of the preference for unusual samples [tau_w].
        exponent: exponent of the trust [gamma].
        momentum: weight of the old row [mu].

    Returns:
        The updated rows, and for each modality the effective number of samples of a row: the number of rows with
        samples divided by the sum of all squared weights.
    """
    sums, effective = [], []
    for s in samples:
        weights = adaptive_weights(rows, s.features, s.labels, s.trust, temperature, exponent)
        effective.append(present_rows(s.labels, len(rows)).sum() / (weights**2).sum())
        sums.append(weighted_sum(s.features, s.labels, weights, len(rows)))
    if len(sums) == 1:
        return momentum_step(rows, *sums[0], momentum), effective
    together = average([normalize(total) for total, _ in sums], [present for _, present in sums])
    return momentum_step(rows, *together, momentum), effective
