"""Soft labels from the clusters of an image's nearest neighbours, and the reliability of hard labels.

Parts of N-ULC, Teng et al., AAAI 2025 (tengxiao14/Neighbor-guided-USL-VI-ReID @af4b43c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from usvi_bench.components.losses import smoothed_targets
from usvi_bench.core.types import OUTLIER

SoftLabel = Literal["overlap", "vote"]
"""``overlap``: intersection over union of an image's neighbours and a cluster. ``vote``: number of neighbours in it."""


def soft_labels(
    neighbours: Tensor, labels: Tensor, clusters: int, kind: SoftLabel = "overlap"
) -> tuple[Tensor, Tensor]:
    """Compute soft labels: S_ik = a_ik / sum_l a_il, with a_ik = n_ik / (K - n_ik + |C_k|).

    n_ik is the number of the K neighbours of image i in cluster k of size |C_k|. Neighbours that are outliers are in no
    cluster, but count among the K.

    >>> neighbours, labels = torch.tensor([[0, 1, 2]]), torch.tensor([0, 0, 1, 1, 1, 1])
    >>> soft_labels(neighbours, labels, clusters=2)
    (tensor([[0.8000, 0.2000]]), tensor([True]))
    >>> soft_labels(neighbours, labels, clusters=2, kind="vote")[0]
    tensor([[0.6667, 0.3333]])

    Args:
        neighbours: ``[N, K]`` rows of the neighbours of each image.
        labels: ``[M]`` clusters of the images that neighbours are taken from; -1 for outliers.
        clusters: number of clusters C.
        kind: ``overlap``, or ``vote``, which has a_ik = n_ik.

    Returns:
        Soft labels ``[N, C]`` float32, and whether a neighbour is in a cluster ``[N]``. Rows sum to 1; without a
        neighbour in a cluster they are 0.
    """
    columns = labels.where(labels != OUTLIER, clusters)  # outliers get a column that is dropped
    counts = torch.zeros(len(neighbours), clusters + 1, device=labels.device)
    near = columns[neighbours]
    counts = counts.scatter_add_(1, near, torch.ones_like(near, dtype=counts.dtype))[:, :clusters]
    if kind == "overlap":
        sizes = columns.bincount(minlength=clusters + 1)[:clusters]
        counts = counts / (neighbours.shape[1] - counts + sizes)
    total = counts.sum(dim=1, keepdim=True)
    known = total > 0
    return counts / total.where(known, 1), known.squeeze(1)


def reliability(soft: Tensor, rows: Tensor, sharpness: float) -> Tensor:
    """Compute the reliability of hard labels: w_i = exp(-gamma (1 - S_iy)^2), y the label of image i.

    >>> reliability(torch.tensor([[0.7, 0.3], [0.5, 0.5]]), torch.tensor([0, 0]), sharpness=10)
    tensor([0.4066, 0.0821])

    Args:
        soft: ``[N, C]`` soft labels [S].
        rows: ``[N]`` hard labels [y].
        sharpness: decay of the weights [gamma].
    """
    return torch.exp(-sharpness * (1 - soft.gather(1, rows[:, None]).squeeze(1)) ** 2)


@dataclass(frozen=True)
class Calibration:
    """Calibration of the labels of all N images of a modality over the C rows of a memory, for one epoch.

    Attributes:
        targets: ``[N, C]`` target probabilities, multiplied by the weight of the image [w t].
        weights: ``[N]`` weights [w]; 0 for an image without a label, or without a neighbour in a cluster.
        figures: means over the images with a label, by name.
    """

    targets: Tensor
    weights: Tensor
    figures: dict[str, Tensor]

    @classmethod
    def of(cls, soft: Tensor, known: Tensor, labels: Tensor, smoothing: float, sharpness: float | None) -> Calibration:
        """Blend hard and soft labels, t_i = (1 - eps) onehot(y_i) + eps S_i, and weight images by :func:`reliability`.

        Args:
            soft: ``[N, C]`` soft labels of :func:`soft_labels` [S].
            known: ``[N]`` images with a soft label; the weight of others is 0.
            labels: ``[N]`` rows of the memory [y], or -1.
            smoothing: weight of the soft labels in the targets [eps].
            sharpness: see :func:`reliability`; None for equal weights.
        """
        labelled, rows = labels != OUTLIER, labels.clamp(min=0)
        weights = (known & labelled).float()
        if sharpness is not None:
            weights = weights * reliability(soft, rows, sharpness)
        largest = soft.gather(1, rows[:, None]).squeeze(1) == soft.amax(dim=1)
        total = labelled.sum().clamp(min=1)
        figures = {
            "agreement": (largest & known & labelled).sum() / total,
            "mean_weight": weights.sum() / total,
            "unknown": (labelled & ~known).sum() / total,
        }
        return cls(weights[:, None] * smoothed_targets(rows, soft, smoothing), weights, figures)

    def loss(self, logits: Tensor, index: Tensor, samples: Tensor | int | None) -> Tensor:
        """Compute the weighted soft cross-entropy: L = 1/B sum_i w_i (-sum_k t_ik log softmax(logits_i)_k).

        Args:
            logits: ``[B, C]``.
            index: ``[B]`` images of the samples.
            samples: divisor [B]; None for the sum of the weights.
        """
        total = (self.targets[index] * logits.log_softmax(dim=1)).sum()
        if samples is None:
            samples = self.weights[index].sum().clamp(min=torch.finfo(self.weights.dtype).tiny)
        return total / -samples
