"""Memory of joint clusters with a prototype for each modality, as in BMIL (Terminator8758/BMIL @79cc647)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.hybrid import joint_centroids
from usvi_bench.core.types import MODALITIES, OUTLIER, Modality


@dataclass(frozen=True)
class Prototypes:
    """Prototypes of joint clusters.

    Attributes:
        rows: ``[P, D]`` unit features.
        clusters: ``[P]`` joint cluster of each prototype.
        table: ``[2, C]`` prototype of each modality in each cluster; -1 for none.
    """

    rows: Tensor
    clusters: Tensor
    table: Tensor


def split_prototypes(visible: Tensor, infrared: Tensor, labels: tuple[Tensor, Tensor]) -> Prototypes:
    """Make a prototype for each modality in each joint cluster: the mean of the cluster's images of that modality.

    Prototypes are in the order of clusters, visible before infrared.

    Args:
        visible: ``[N, D]`` features that are not normalised.
        infrared: ``[M, D]`` features that are not normalised.
        labels: joint clusters of the visible and of the infrared images; outliers (-1) are left out.
    """
    count = len(MODALITIES)
    keys = torch.cat([torch.where(part < 0, OUTLIER, count * part + m) for m, part in enumerate(labels)])
    present = keys[keys != OUTLIER].unique()
    table = keys.new_full((int(torch.cat(labels).max()) + 1, count), OUTLIER)
    table.view(-1)[present] = torch.arange(len(present), device=keys.device)
    return Prototypes(centroids(torch.cat([visible, infrared]), keys), present // count, table.T)


def shared_prototypes(visible: Tensor, infrared: Tensor, labels: tuple[Tensor, Tensor]) -> Prototypes:
    """Make one prototype for each joint cluster, :func:`usvi_bench.components.memory.hybrid.joint_centroids`."""
    rows = joint_centroids(visible, infrared, labels)
    clusters = torch.arange(len(rows), device=rows.device)
    return Prototypes(rows, clusters, clusters.expand(len(MODALITIES), -1))


class SplitMemory(HardMemory):
    """Split memory of joint clusters: a centroid and a hard prototype for each modality in each cluster.

    A sample is pulled to all prototypes of its cluster, of either modality. It updates only its own modality's.

    Args:
        prototypes: start of the centroids and of the hard prototypes.
        temperature: divides the cosine similarities.
        momentum: weight of the old row in an update.
        compared: number of prototypes in the softmax: those of the own cluster and the most similar others; 0 for all.
    """

    clusters: Tensor
    table: Tensor

    def __init__(
        self, prototypes: Prototypes, temperature: float = 0.05, momentum: float = 0.1, compared: int = 50
    ) -> None:
        super().__init__(prototypes.rows, None, temperature, momentum, hinge=0.0)
        self.register_buffer("clusters", prototypes.clusters, persistent=False)
        self.register_buffer("table", prototypes.table, persistent=False)
        self.compared = compared

    def rows_of(self, modality: Modality, labels: Tensor) -> Tensor:
        """Return the prototype ``[B]`` of a modality in the joint clusters ``labels`` ``[B]``."""
        return self.table[MODALITIES.index(modality)][labels]

    def hinged_loss(self, similarity: Tensor, labels: Tensor, unmatched: bool = False) -> Tensor:
        """Compute the multi-positive loss from cosine similarities ``[B, 2 P]``; there is no hinge.

        ``loss = 0.5 mean_i l(s_i) + 0.5 mean_i l(h_i)``, where ``s_i`` are the similarities to the centroids divided by
        the temperature, and ``h_i`` those to the hard prototypes::

            l(s) = -1 / |Pos| sum_{p in Pos} log(exp(s_p) / sum_{j in S} exp(s_j))

        ``Pos`` are the prototypes of the sample's cluster. ``S`` is ``Pos`` with the largest other ``s``, ``compared``
        prototypes in all, and more if several others equal the smallest of them.

        Args:
            similarity: to the centroids, then to the hard prototypes.
            labels: ``[B]`` prototype of each sample's modality in its cluster.
            unmatched: not used, since every sample has a prototype.
        """
        scores = (similarity / self.temperature).view(len(labels), 2, -1)
        positive = (self.clusters == self.clusters[labels][:, None])[:, None]
        own = (scores * positive).sum(dim=2) / positive.sum(dim=2)
        if 0 < self.compared < len(self.clusters):
            ranked = scores.detach().masked_fill(positive, torch.inf)
            last = ranked.topk(self.compared).values[..., -1:]
            scores = scores.masked_fill(ranked < last, -torch.inf)
        return (scores.logsumexp(dim=2) - own).mean(dim=0) @ self.weights
