"""Memory of all training images of a modality, in which the neighbours of a sample are found (HIL, SDCL).

haonanshi0125/HIL @09c857a.
"""

from __future__ import annotations

import math

from torch import Tensor

from usvi_bench.components.memory.cluster import ClusterMemory

NOMINAL = 0.9
"""Weight of the old row in a released update, for features that are not normalised."""


class InstanceMemory(ClusterMemory):
    """Instance memory: a unit row for every image, updated by its features in turn, ``unit(mu row + (1 - mu) f)``.

    Args:
        features: ``[N, D]`` start of the rows, normalised here.
        momentum: weight of the old row [mu]. None: 0.9 / (0.9 + 0.1 sqrt(D)). A released update has 0.9 of the old row
            and 0.1 of a feature of a length of about sqrt(D); unit features then have the same weight.
    """

    def __init__(self, features: Tensor, momentum: float | None = None) -> None:
        new = (1 - NOMINAL) * math.sqrt(features.shape[1])
        super().__init__(features, momentum=NOMINAL / (NOMINAL + new) if momentum is None else momentum)
