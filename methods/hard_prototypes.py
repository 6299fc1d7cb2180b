"""PGM with hard prototypes beside the centroids, and its two first stages: the base of PCLHD and RPNR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.core.bounds import WEIGHT, bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.methods.base import Stage
from usvi_bench.methods.cluster_contrast import warmup
from usvi_bench.methods.pgm import PGM, PGMConfig


@dataclass(frozen=True)
class HardPrototypesConfig(PGMConfig):
    """Hyper-parameters of hard prototypes, beside those of PGM; defaults are released values."""

    hard: bool = True
    """Use hard prototypes beside the centroids in every memory. False: centroids with the rule ``update``."""
    stage1_memory: Literal["centroid", "hybrid"] = "centroid"
    """Memory of the first stage: centroids as in the first stage that all methods share, or also hard prototypes."""
    centre_weight: float = bounded(0.5, 0, WEIGHT)
    """Weight of the contrast with centroids."""
    hard_weight: float = bounded(0.5, 0, WEIGHT)
    """Weight of the contrast with hard prototypes."""
    hinge: float = bounded(0.2, 0, WEIGHT)
    """Value of the contrast with centroids below which it gives no gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form == "released" and not self.hard:
            raise UsageError("method.form=released needs method.hard=true")


class HardPrototypes(PGM):
    """Hard prototypes: base of methods whose memories have a centroid and a hard prototype for each cluster."""

    hard_settings: ClassVar[tuple[str, ...]] = ("centre_weight", "hard_weight", "hinge")
    """Settings that a first stage with hard prototypes depends on."""
    parts_off: ClassVar[Mapping[str, Any]] = {}
    """Settings that switch the method's own parts off, for a first stage with hard prototypes."""

    @classmethod
    def stages(cls, config: Any) -> tuple[Stage, ...]:
        name = METHODS.name_of(cls)
        if config.stage1_memory == "centroid":
            return warmup(config), Stage(name, config)
        shared = vars(warmup(config).config) | {setting: getattr(config, setting) for setting in cls.hard_settings}
        return Stage(name, cls.Config(**shared, cross_weight=0.0, **cls.parts_off)), Stage(name, config)

    def make_memory(self, features: Tensor, labels: Tensor) -> ClusterMemory:
        return self.memory_of(centroids(features, labels))

    def memory_of(self, rows: Tensor, hard: Tensor | None = None) -> ClusterMemory:
        """Build a memory whose centroids start at ``rows`` and whose hard prototypes start at ``hard``, or there too.

        Its loss is :meth:`usvi_bench.components.memory.hard.HardMemory.loss`. Without hard prototypes, it is that of
        cluster contrast.
        """
        c = self.config
        if not c.hard:
            return ClusterMemory(rows, c.temperature, c.momentum, c.update)
        return HardMemory(rows, hard, c.temperature, c.momentum, c.centre_weight, c.hard_weight, c.hinge)
