"""Figures of a score, each a number from 0 to 1 that is taken from the metrics of one ranking.

The six of every table are registered here. A further one is a function in a module of its own in this folder, or in any
module that is imported before scoring; it goes into the ``metrics`` of each score of a record, and into no table::

    @FIGURES.register("R15")
    def rank_15(metrics: RankMetrics) -> float:
        return metrics.rank(15)
"""

from __future__ import annotations

from collections.abc import Callable

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS, RANKS
from usvi_bench.core.registry import Registry
from usvi_bench.protocols.metrics import RankMetrics

Figure = Callable[[RankMetrics], float]
FIGURES = Registry("figure", "usvi_bench.protocols")


def summarised(metrics: RankMetrics) -> dict[str, float]:
    """All registered figures: those of a table row in its order, then the others by name.

    Raises:
        UsageError: a figure is not a number from 0 to 1.
    """
    figures = {}
    for name in (*METRICS, *(name for name in FIGURES.names() if name not in METRICS)):
        figures[name] = float(FIGURES.get(name)(metrics))
        if not 0 <= figures[name] <= 1:
            raise UsageError(f"figure '{name}' is {figures[name]}; a record holds numbers from 0 to 1")
    return figures


def _rank(k: int) -> Figure:
    return lambda metrics: metrics.rank(k)


for _k in RANKS:
    FIGURES.register(f"R{_k}")(_rank(_k))
FIGURES.register("mAP")(lambda metrics: metrics.mAP)
FIGURES.register("mINP")(lambda metrics: metrics.mINP)
