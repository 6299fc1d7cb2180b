"""Memories that both modalities share: hybrid rows (HML) and joint centroids.

The hybrid memory follows RPNR (XiangboYin/RPNR @6647f21), whose third memory holds the mean of each infrared centroid
and its visible partner (:func:`blend_means`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.association import UNMATCHED
from usvi_bench.core.types import OUTLIER


def blend(
    visible: Tensor, infrared: Tensor, partners: tuple[Tensor, Tensor], beta: float, members: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Build the hybrid memory (HML): H_k = unit(beta R_k + (1 - beta) V_partner(k)).

    V and R are the visible and infrared centroids. The memory has one row for each cluster of the modality with fewer
    clusters; the equation is for K_r <= K_v. The form is our reconstruction after RPNR (XiangboYin/RPNR @6647f21).

    >>> visible, infrared = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0]])
    >>> rows, of_visible, of_infrared = blend(visible, infrared, (torch.tensor([0, 0]), torch.tensor([1])), 0.0, "top1")
    >>> rows, of_visible, of_infrared
    (tensor([[0.6000, 0.8000]]), tensor([0, 0]), tensor([0]))

    Args:
        visible: ``[Kv, D]`` unit centroids.
        infrared: ``[Kr, D]`` unit centroids.
        partners: infrared partner of each visible cluster and visible partner of each infrared cluster, -1 for none.
        beta: weight of the infrared centroid.
        members: ``top1`` blends with the partner. ``group`` blends with the mean of the partner and of all clusters
            whose partner the row is.

    Returns:
        Rows ``[min(Kv, Kr), D]``, and the row of each visible and of each infrared cluster (-1 for none).
    """
    to_infrared, to_visible = partners
    if len(visible) < len(infrared):
        hybrid, infrared_rows, visible_rows = blend(infrared, visible, (to_visible, to_infrared), 1 - beta, members)
        return hybrid, visible_rows, infrared_rows
    paired = to_visible != UNMATCHED
    other = visible[to_visible]
    if members == "group":
        chosen = to_infrared == torch.arange(len(infrared), device=visible.device)[:, None]
        chosen[torch.arange(len(infrared), device=visible.device), to_visible] = True
        other = normalize(chosen.to(visible.dtype) @ visible / chosen.sum(dim=1, keepdim=True))
    hybrid = torch.where(paired[:, None], normalize(beta * infrared + (1 - beta) * other), infrared)
    own = torch.where(paired, torch.arange(len(infrared), device=visible.device), UNMATCHED)
    return hybrid, to_infrared, own


def blend_means(visible: Tensor, infrared: Tensor, to_visible: Tensor) -> Tensor:
    """Build the hybrid memory of RPNR (XiangboYin/RPNR @6647f21): H_k = unit((R_k + V_partner(k)) / 2).

    R and V are means that are not normalised: a mean is the longer, the more similar the images of its cluster are, and
    has the more weight. There is a row for each infrared cluster, also if there are fewer visible clusters.

    >>> blend_means(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 1.0]]), torch.tensor([0, -1]))
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])

    Args:
        visible: ``[Kv, D]`` means of the visible clusters [V].
        infrared: ``[Kr, D]`` means of the infrared clusters [R].
        to_visible: ``[Kr]`` visible partner of each infrared cluster; -1 for none, which leaves the infrared mean.

    Returns:
        ``[Kr, D]``.
    """
    others = torch.where((to_visible != UNMATCHED)[:, None], visible[to_visible], 0)
    return normalize(infrared + others)  # the sum has the direction of the mean


def joint_centroids(visible: Tensor, infrared: Tensor, labels: tuple[Tensor, Tensor]) -> Tensor:
    """Compute modality-balanced centroids: unit(mean of visible members / 2 + mean of infrared members / 2).

    A cluster of one modality has the mean of its members. Source: PCLHD (shijiangming1/PCLHD @c1f7b24).

    Args:
        visible: ``[N, D]`` features of any length.
        infrared: ``[M, D]`` features of any length.
        labels: joint clusters of the visible and of the infrared images; outliers (-1) are left out.

    Returns:
        ``[C, D]``.
    """
    count = int(torch.cat(labels).max()) + 1
    total = visible.new_zeros(count, visible.shape[1])
    for features, part in zip((visible, infrared), labels, strict=True):
        kept = part != OUTLIER
        sums = torch.zeros_like(total).index_add(0, part[kept], features[kept])
        total += sums / part[kept].bincount(minlength=count).clamp(min=1)[:, None]
    return normalize(total)  # the sum of the two means has the direction of their mean
