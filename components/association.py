"""Which infrared cluster shows the same person as a visible one.

All functions take centroids ``visible [Kv, D]`` and ``infrared [Ki, D]``, compare them by cosine (rows are normalised
inside) and return ``(visible_to_infrared [Kv], infrared_to_visible [Ki])``, int64 on the device of ``visible``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.core.types import PseudoLabels

UNMATCHED = -1
"""Partner of a cluster that a matching leaves alone."""


def match(visible: Tensor, infrared: Tensor, progressive: bool = True) -> tuple[Tensor, Tensor]:
    """Progressive graph matching: every cluster gets a partner, whatever the two counts are.

    The first round is a one-to-one assignment of least total ``exp(-cosine)``; further rounds assign the clusters of
    the larger side that are still without a partner, so that several of them may share one. Partners of the smaller
    side are those of the first round.

    >>> visible = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> infrared = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    >>> match(visible, infrared)
    (tensor([0, 0, 1]), tensor([0, 2]))
    >>> match(visible, infrared, progressive=False)
    (tensor([ 0, -1,  1]), tensor([0, 2]))

    Wu and Ye, CVPR 2023 (zesenwu23/USL-VI-ReID @ed4a7df, which has two rounds and assumes Kv >= Ki).

    Args:
        visible: centroids ``[Kv, D]``.
        infrared: centroids ``[Ki, D]``.
        progressive: False stops after the first round; clusters of the larger side without a partner then get -1.

    Raises:
        ValueError: a side has no clusters.
    """
    similarity = _cosine(visible, infrared)
    to_infrared, to_visible = map(torch.from_numpy, _match_progressively(similarity.cpu().numpy()))
    if not progressive:
        to_infrared, to_visible = _keep_mutual(to_infrared, to_visible), _keep_mutual(to_visible, to_infrared)
    return to_infrared.to(similarity.device), to_visible.to(similarity.device)


def nearest_match(visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """The most similar cluster of the other modality, the first one where several are.

    Raises:
        ValueError: a side has no clusters.
    """
    similarity = _cosine(visible, infrared)
    return similarity.argmax(1), similarity.argmax(0)


def mutual_match(visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs that are each other's most similar cluster; the rest is -1.

    Raises:
        ValueError: a side has no clusters.
    """
    to_infrared, to_visible = nearest_match(visible, infrared)
    return _keep_mutual(to_infrared, to_visible), _keep_mutual(to_visible, to_infrared)


def sinkhorn_match(
    visible: Tensor, infrared: Tensor, regularisation: float = 5.0, iterations: int = 5000
) -> tuple[Tensor, Tensor]:
    """Largest entry of each row and column of the entropic transport plan between uniform marginals.

    Cost ``exp(-cosine)``. Yin et al., ACM MM 2024 (XiangboYin/RPNR @6647f21).

    Args:
        visible: centroids ``[Kv, D]``.
        infrared: centroids ``[Ki, D]``.
        regularisation: weight of the plan's entropy.
        iterations: bound on their number; they end earlier when the marginals are met to 1e-9.

    Raises:
        ValueError: a side has no clusters.
    """
    log_kernel = -(-_cosine(visible, infrared)).exp() / regularisation
    rows, columns = log_kernel.shape
    plan = log_kernel
    for _ in range(iterations):
        plan = plan - plan.logsumexp(0) - np.log(columns)
        excess = plan.logsumexp(1) + np.log(rows)
        plan = plan - excess[:, None]
        if excess.abs().max() < 1e-9:
            break
    return plan.argmax(1), plan.argmax(0)


ASSOCIATIONS = {"nn": nearest_match, "mutual": mutual_match, "hungarian": match, "sinkhorn": sinkhorn_match}
"""Ways to pair visible and infrared clusters, by name."""


def paired(labels: PseudoLabels, partners: tuple[Tensor, Tensor]) -> PseudoLabels:
    """Labels that carry the partner of every cluster: ``labels["partners"]``, and one side for the journal."""
    return replace(labels, visible_to_infrared=partners[0], extra={**labels.extra, "partners": partners})


def _cosine(visible: Tensor, infrared: Tensor) -> Tensor:
    """``[Kv, Ki]`` float64."""
    if min(len(visible), len(infrared)) == 0:
        raise ValueError(f"{len(visible)} visible and {len(infrared)} infrared clusters: nothing to match")
    visible, infrared = (torch.as_tensor(side).detach().double() for side in (visible, infrared))
    return normalize(visible) @ normalize(infrared).T


def _match_progressively(similarity: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = similarity.shape
    if rows < columns:
        to_row, to_column = _match_progressively(similarity.T)
        return to_column, to_row
    cost = np.exp(-similarity)
    row, column = linear_sum_assignment(cost)
    to_column, to_row = np.full(rows, UNMATCHED), np.empty(columns, np.int64)
    to_column[row], to_row[column] = column, row
    while (rest := np.flatnonzero(to_column == UNMATCHED)).size:
        row, column = linear_sum_assignment(cost[rest])
        to_column[rest[row]] = column
    return to_column, to_row


def _keep_mutual(there: Tensor, back: Tensor) -> Tensor:
    """Keep mutual matches; -1 elsewhere."""
    home = torch.arange(len(there), device=there.device)
    return torch.where(back[there] == home, there, UNMATCHED)
