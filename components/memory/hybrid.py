"""A memory that both modalities share: visible and infrared entries blended, and moved with equal say.

As in RPNR (XiangboYin/RPNR @6647f21), whose third memory holds the mean of an infrared centroid and of its visible
partner.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.association import UNMATCHED
from usvi_bench.components.memory.cluster import mean_weights, weighted_sum
from usvi_bench.core.types import OUTLIER


def blend(
    visible: Tensor, infrared: Tensor, partners: tuple[Tensor, Tensor], beta: float, members: str
) -> tuple[Tensor, Tensor, Tensor]:
    """The hybrid memory (HML of SCLHM): a row a cluster of the modality with fewer clusters, blended with its partner.

    ``H_k = unit(beta infrared_k + (1 - beta) visible_p(k))``, with ``p(k)`` the partner of infrared cluster ``k``;
    where visible clusters are fewer, ``k`` counts these. A cluster without a partner is its own row.

    Args:
        visible: ``[Kv, D]`` unit centroids.
        infrared: ``[Kr, D]`` unit centroids.
        partners: visible-to-infrared and infrared-to-visible, -1 for none.
        beta: share of the infrared part.
        members: ``top1``: the partner; ``group``: the mean of the partner and of all clusters that chose the row.

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


def average(parts: list[Tensor], present: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean over the parts that have samples, row by row ``[K, D]``, and which rows have any ``[K]``."""
    counts = torch.stack(present).sum(dim=0)
    total = torch.stack([part * there[:, None] for part, there in zip(parts, present, strict=True)]).sum(dim=0)
    return total / counts.clamp(min=1)[:, None], counts > 0


def joint_centroids(visible: Tensor, infrared: Tensor, labels: tuple[Tensor, Tensor]) -> Tensor:
    """Unit mean of the two modality means of each cluster, or its one mean where it has images of one modality only.

    As in PCLHD (shijiangming1/PCLHD @c1f7b24).

    Args:
        visible: ``[N, D]`` features, of any length.
        infrared: ``[M, D]``.
        labels: of the visible and of the infrared images, numbered together; outliers (-1) are left out.

    Returns:
        ``[C, D]``.
    """
    count = int(torch.cat(labels).max()) + 1
    total = visible.new_zeros(count, visible.shape[1])
    for features, part in zip((visible, infrared), labels, strict=True):
        kept = part != OUTLIER
        total += weighted_sum(features[kept], part[kept], mean_weights(part[kept]), count)[0]
    return normalize(total)  # a sum points where its mean does
