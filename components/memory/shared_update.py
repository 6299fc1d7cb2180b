"""One step of a memory by the samples of one modality, or of two that have equal say in every row they share.

Throughout: ``rows`` is ``[C, D]`` with unit rows, ``samples`` has an entry for every modality, ``momentum`` is the
weight of the old row. A row without samples stays exactly as it was.
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
        trust: ``[B]`` probability of the assigned row.
    """

    features: Tensor
    labels: Tensor
    trust: Tensor


def plain_update(rows: Tensor, samples: list[UpdateSamples], rule: Update, momentum: float) -> Tensor:
    """Move the rows by each modality on its own with a named rule, then average the moved rows."""
    moved = [UPDATE_RULES[rule](rows, s.features, s.labels, momentum) for s in samples]
    if len(moved) == 1:
        return moved[0]
    present = [present_rows(s.labels, len(rows)) for s in samples]
    return momentum_step(rows, *average(moved, present), momentum=0.0)


def adaptive_update(
    rows: Tensor, samples: list[UpdateSamples], temperature: float, exponent: float, momentum: float
) -> tuple[Tensor, list[Tensor]]:
    """One step towards sums in which unusual but trustworthy samples weigh most (AMU of SCLHM).

    ``row_k <- unit(momentum row_k + (1 - momentum) sum_i w_i f_i)``, with ``w_i`` the softmax over the samples of row
    ``k`` of ``-cos(f_i, row_k) / temperature + exponent log(trust_i)``. Where two modalities share a memory, the sum of
    each is made unit and their mean is taken, so that they have equal say.

    Args:
        rows: of the memory.
        samples: of each modality.
        temperature: how strongly unusual samples are favoured; see ``adaptive_weights``.
        exponent: how strongly ambiguous ones are held back.
        momentum: weight of the old row.

    Returns:
        The rows, and for each modality the mean over its rows of the effective number of samples, ``1 / sum w^2``
        taken over the batch.
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
