"""Association of visible and infrared clusters that show the same person.

Each way of association takes centroids ``visible [Kv, D]`` and ``infrared [Ki, D]`` and compares them by cosine; rows
are normalised inside. It returns ``(visible_to_infrared [Kv], infrared_to_visible [Ki])``, int64 on the device of
``visible``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.core.types import PseudoLabels

UNMATCHED = -1
"""Partner of a cluster that has none."""

Matching = Literal["progressive", "assignment", "nearest"]
"""Ways of matching by a matrix of costs, see :func:`match_costs`."""


def match(visible: Tensor, infrared: Tensor, progressive: bool = True) -> tuple[Tensor, Tensor]:
    """Match clusters by progressive graph matching (PGM): min over one-to-one assignments of sum exp(-cos(v, r)).

    The first round assigns one to one. Each further round assigns the clusters of the larger side that still have no
    partner, so that several of them may share one. Partners of the smaller side are those of the first round. Every
    cluster gets a partner for any two cluster counts.

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
        progressive: match in rounds. False stops after the first round and gives -1 to clusters without a partner.

    Raises:
        ValueError: a side has no clusters, or centroids are not finite.
    """
    similarity = _cosine(visible, infrared)
    to_infrared, to_visible = map(torch.from_numpy, _match_progressively(similarity.cpu().numpy()))
    if not progressive:
        to_infrared, to_visible = _keep_mutual(to_infrared, to_visible), _keep_mutual(to_visible, to_infrared)
    return to_infrared.to(similarity.device), to_visible.to(similarity.device)


def nearest_match(visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """Match each cluster with the most similar cluster of the other modality; ties go to the smaller number.

    Raises:
        ValueError: a side has no clusters, or centroids are not finite.
    """
    similarity = _cosine(visible, infrared)
    return similarity.argmax(1), similarity.argmax(0)


def mutual_match(visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """Match two clusters if each is the most similar cluster of the other; other clusters get -1.

    Raises:
        ValueError: a side has no clusters, or centroids are not finite.
    """
    to_infrared, to_visible = nearest_match(visible, infrared)
    return _keep_mutual(to_infrared, to_visible), _keep_mutual(to_visible, to_infrared)


def sinkhorn_match(
    visible: Tensor,
    infrared: Tensor,
    regularisation: float = 5.0,
    iterations: int = 5000,
    tolerance: float = 1e-9,
) -> tuple[Tensor, Tensor]:
    """Match each cluster with the largest entry of its row or column in an entropic transport plan.

    Yin et al., ACM MM 2024 (XiangboYin/RPNR @6647f21). Arguments and errors are those of :func:`transport_plan`.
    """
    plan = transport_plan(visible, infrared, regularisation, iterations, tolerance)
    return plan.argmax(1), plan.argmax(0)


def transport_plan(
    visible: Tensor, infrared: Tensor, regularisation: float, iterations: int, tolerance: float
) -> Tensor:
    """Compute the plan T that minimises sum_ab T_ab exp(-cos(v_a, r_b)) - regularisation * entropy(T).

    Rows and columns of the plan have equal sums. They are met in turn, by Sinkhorn's iterations.

    Args:
        visible: centroids ``[Kv, D]`` [v].
        infrared: centroids ``[Kr, D]`` [r].
        regularisation: weight of the entropy of the plan.
        iterations: largest number of iterations.
        tolerance: length of the error of the column sums at which the iterations end; every tenth is checked, from the
            first on.

    Returns:
        ``[Kv, Kr]`` float64.

    Raises:
        ValueError: a side has no clusters, or centroids are not finite.
    """
    plan = -(-_cosine(visible, infrared)).exp() / regularisation  # its logarithm
    rows, columns = plan.shape
    for iteration in range(iterations):
        plan = plan - plan.logsumexp(0) - np.log(columns)
        plan = plan - plan.logsumexp(1, keepdim=True) - np.log(rows)
        if iteration % 10 == 0 and (plan.logsumexp(0).exp() - 1 / columns).norm() < tolerance:
            break
    return plan.exp()


ASSOCIATIONS = {"nn": nearest_match, "mutual": mutual_match, "hungarian": match, "sinkhorn": sinkhorn_match}
"""Ways of association, by name."""


def paired(labels: PseudoLabels, partners: tuple[Tensor, Tensor]) -> PseudoLabels:
    """Add the partner of every cluster to labels: ``labels["partners"]``, and one side for the journal.

    Clusters without images may follow those of the labels. The journal has no partners from or to them.

    >>> labels, partners = PseudoLabels(torch.tensor([0, 1]), torch.tensor([0])), torch.tensor([0, 1, 0])
    >>> paired(labels, (partners, torch.tensor([2, 1]))).visible_to_infrared
    tensor([ 0, -1])
    """
    visible, infrared = (int(part.max()) + 1 for part in (labels.visible, labels.infrared))
    shown = partners[0][:visible]
    shown = torch.where(shown < infrared, shown, UNMATCHED)
    return replace(labels, visible_to_infrared=shown, extra={**labels.extra, "partners": partners})


def _cosine(visible: Tensor, infrared: Tensor) -> Tensor:
    """Compute the cosines ``[Kv, Ki]`` in float64."""
    if min(len(visible), len(infrared)) == 0:
        raise ValueError(f"{len(visible)} visible and {len(infrared)} infrared clusters: nothing to match")
    visible, infrared = (torch.as_tensor(side).detach().double() for side in (visible, infrared))
    if visible.dim() != 2 or infrared.dim() != 2 or visible.shape[1] != infrared.shape[1]:
        raise ValueError(
            f"centroids must be [Kv, D] and [Ki, D]; they are {list(visible.shape)}, {list(infrared.shape)}"
        )
    if not bool(visible.isfinite().all() and infrared.isfinite().all()):
        raise ValueError("centroids hold NaN or infinite values; give features that are finite")
    return normalize(visible) @ normalize(infrared).T


def match_costs(cost: Tensor, matching: Matching = "progressive") -> Tensor:
    """Match every visible cluster with an infrared cluster by a matrix of costs.

    >>> cost = torch.tensor([[1.0, 3.0], [2.0, 9.0], [3.0, 4.0]])
    >>> [match_costs(cost, way).tolist() for way in ("progressive", "assignment", "nearest")]
    [[1, 0, 0], [1, 0, -1], [0, 0, 0]]

    Args:
        cost: ``[Kv, Kr]`` finite costs.
        matching: ``progressive`` assigns one to one at the least total cost, then the visible clusters that are left,
            until all have a partner. ``assignment`` stops after the first round, and gives -1 to clusters without a
            partner. ``nearest`` takes the least cost of each visible cluster, of equals the smaller number.

    Returns:
        ``[Kv]`` int64, on the device of ``cost``.
    """
    if matching == "nearest":
        return cost.argmin(1)
    rounds = _rounds(cost.cpu().numpy())
    partner = np.full(len(cost), UNMATCHED)
    for row, column in rounds if matching == "progressive" else islice(rounds, 1):
        partner[row] = column
    return torch.from_numpy(partner).to(cost.device)


def _match_progressively(similarity: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = similarity.shape
    if rows < columns:
        to_row, to_column = _match_progressively(similarity.T)
        return to_column, to_row
    to_column, to_row = np.full(rows, UNMATCHED), np.full(columns, UNMATCHED)
    for row, column in _rounds(np.exp(-similarity)):
        to_column[row] = column
        to_row[column] = np.where(to_row[column] == UNMATCHED, row, to_row[column])  # of the first round
    return to_column, to_row


def _rounds(cost: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Assign one to one at the least total cost, round after round, until every row has a column.

    Yields:
        The rows that a round assigns, and their columns.
    """
    from scipy.optimize import linear_sum_assignment

    rest = np.arange(len(cost))
    while rest.size:
        row, column = linear_sum_assignment(cost[rest])
        yield rest[row], column
        rest = np.delete(rest, row)


def _keep_mutual(there: Tensor, back: Tensor) -> Tensor:
    """Keep mutual matches; -1 elsewhere."""
    home = torch.arange(len(there), device=there.device)
    return torch.where(back[there] == home, there, UNMATCHED)
