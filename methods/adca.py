"""ADCA: dual contrast in each modality, with cross-modality memory aggregation (CMA) once an epoch.

"Augmented Dual-Contrastive Aggregation Learning for Unsupervised Visible-Infrared Person Re-Identification",
Yang B., Ye M., Chen J., Wu Z., ACM MM 2022, https://doi.org/10.1145/3503161.3548198.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.association import UNMATCHED
from usvi_bench.core.bounds import bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import OUTLIER, Features, PseudoLabels, StageProgress
from usvi_bench.methods.base import Stage
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup

BLOCK = 1 << 22
"""Number of image pairs whose similarity is held in memory at once."""


@dataclass(frozen=True)
class ADCAConfig(ClusterContrastConfig):
    """Hyper-parameters of ADCA, beside those of its first stage."""

    aggregate: bool = True
    """Use cross-modality memory aggregation (CMA). False continues the first stage."""
    threshold: float = bounded(0.5, -1, 1)
    """Smallest similarity at which a visible and an infrared image vote for the pair of their clusters."""
    share: float = bounded(0.9, 0, 1)
    """Weight of the infrared row in a visible row that is aggregated with it."""
    normalise_rows: bool = True
    """Normalise the aggregated rows; the released code does not."""


@METHODS.register("adca")
class ADCA(ClusterContrast):
    """ADCA: pairs of visible and infrared clusters are found by votes of similar images, and their memories aggregated.

    At the start of an epoch each paired row of the visible memory is mixed with its infrared row (CMA), so that
    visible images are pulled towards the infrared images of the pair. The losses are those of the first stage.

    **Differs from** the paper in nothing known to us, and from the released code (yangbincv/ADCA @8d0a8cb) as follows.
    Aggregated rows are normalised (``normalise_rows=false`` restores the original). Similarities are thresholded block
    by block instead of all at once. Memories are updated after the optimiser step. The second stage starts from the
    last epoch of the first one instead of the epoch with the best test score. Features are normalised before
    clustering (``normalise_features=false`` restores the original). As in that code, among pairs with equal votes the
    one with the most similar images comes first; here further ties go to the smaller cluster numbers.

    **Known publicly:** paper and code. **Our reconstruction:** nothing.

    **Where:** CMA is ``label`` and ``begin_epoch``; DCL, the loss, is ``ClusterContrast.contrast``.
    """

    Config = ADCAConfig
    summary = "dual contrast, visible memory aggregated with the infrared one (ACM MM 2022)"

    @classmethod
    def stages(cls, config: ADCAConfig) -> tuple[Stage, ...]:
        return warmup(config), Stage("adca", config)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Pair visible clusters ``a`` with infrared clusters ``b``, most votes first (first half of CMA).

        ``n_ab = |{(i, j): y_i = a, y_j = b, f_i.f_j >= threshold}|`` are the votes, over pairs of a visible image ``i``
        and an infrared one ``j``.
        """
        labels = super().label(features, progress)
        if not self.config.aggregate:
            return labels
        votes = count_votes(features.visible, features.infrared, labels, self.config.threshold)
        return replace(labels, visible_to_infrared=pair_by_votes(*votes))

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        """Aggregate paired rows, the second half of CMA (cross-modality memory aggregation).

        ``M^v_a <- unit((1 - share) M^v_a + share M^r_b)`` for each pair; infrared rows stay.
        """
        super().begin_epoch(features, labels, progress)
        self.partners = labels.visible_to_infrared
        if self.partners is not None:
            visible, infrared = self.visible_memory.rows, self.infrared_memory.rows
            rows = aggregate(visible, infrared, self.partners, self.config.share)
            self.visible_memory.rows = normalize(rows) if self.config.normalise_rows else rows

    def diagnostics(self) -> Mapping[str, Tensor]:
        return {} if self.partners is None else {"aggregated": (self.partners != UNMATCHED).float().mean()}


def count_votes(visible: Tensor, infrared: Tensor, labels: PseudoLabels, threshold: float) -> tuple[Tensor, Tensor]:
    """Count the votes of image pairs for each pair of clusters: n_ab = |{i in a, j in b : x_i . z_j >= threshold}|.

    Args:
        visible: ``[N, D]`` flip-averaged features, not normalised [x].
        infrared: ``[M, D]`` flip-averaged features, not normalised [z].
        labels: clusters of the images; outliers do not vote.
        threshold: smallest inner product that is a vote.

    Returns:
        ``[Kv, Ki]`` int64 votes, and ``[Kv, Ki]`` the largest inner product among them (-inf without votes).
    """
    (visible, rows), (infrared, columns) = (
        (features[part != OUTLIER], part[part != OUTLIER])
        for features, part in ((visible, labels.visible), (infrared, labels.infrared))
    )
    shape = int(labels.visible.max()) + 1, int(labels.infrared.max()) + 1
    counts = torch.zeros(shape[0] * shape[1], dtype=torch.int64, device=rows.device)
    best = visible.new_full((shape[0] * shape[1],), -torch.inf)
    block = max(1, BLOCK // len(infrared))
    for some, row in zip(visible.split(block), rows.split(block), strict=True):
        similarity = some @ infrared.T
        near = similarity >= threshold
        pair = (row[:, None] * shape[1] + columns)[near]
        counts += pair.bincount(minlength=len(counts))
        best.scatter_reduce_(0, pair, similarity[near], "amax")
    return counts.view(shape), best.view(shape)


def pair_by_votes(counts: Tensor, best: Tensor) -> Tensor:
    """Pair the clusters greedily by their votes; each cluster is paired at most once.

    >>> counts = torch.tensor([[3, 5], [4, 0]])
    >>> pair_by_votes(counts, best=torch.rand(2, 2))
    tensor([1, 0])

    Args:
        counts: ``[Kv, Ki]`` votes.
        best: ``[Kv, Ki]`` largest similarity among the voting images, which breaks ties.

    Returns:
        ``[Kv]`` int64 infrared partner of each visible cluster, -1 for none.
    """
    votes, similarity = counts.cpu().numpy(), best.cpu().numpy()
    row, column = votes.nonzero()
    order = np.lexsort((column, row, -similarity[row, column], -votes[row, column]))
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for a, b in zip(row[order].tolist(), column[order].tolist(), strict=True):
        if a not in partners and b not in taken:
            partners[a] = b
            taken.add(b)
    return torch.tensor([partners.get(a, UNMATCHED) for a in range(len(votes))], device=counts.device)


def aggregate(visible: Tensor, infrared: Tensor, partners: Tensor, share: float) -> Tensor:
    """Aggregate paired rows (CMA): M_a = (1 - share) M_a + share M_b; other rows stay. The result is not normalised.

    >>> aggregate(torch.eye(2), torch.tensor([[0.0, 1.0]]), partners=torch.tensor([0, -1]), share=0.75)
    tensor([[0.2500, 0.7500],
            [0.0000, 1.0000]])

    Source: yangbincv/ADCA @8d0a8cb.

    Args:
        visible: ``[Kv, D]`` rows of the visible memory.
        infrared: ``[Ki, D]`` rows of the infrared memory.
        partners: ``[Kv]`` infrared partner of each visible row, -1 for none.
        share: weight of the infrared row.

    Returns:
        ``[Kv, D]``.
    """
    mixed = (1 - share) * visible + share * infrared[partners.clamp(min=0)]
    return torch.where((partners != UNMATCHED)[:, None], mixed, visible)
