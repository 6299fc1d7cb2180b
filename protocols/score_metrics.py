"""Registered metrics of a score: functions of :class:`~usvi_bench.protocols.metrics.RankMetrics` with values in [0, 1].

The six metrics of every table are registered here. To add another, register a function in a module of this folder or in
any module that is imported before scoring. It is stored in the ``metrics`` of each score of a record, but not shown in
tables::

    @SCORE_METRICS.register("R15")
    def rank_15(metrics: RankMetrics) -> float:
        return metrics.rank(15)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS, RANKS
from usvi_bench.core.registry import SCORE_METRICS
from usvi_bench.protocols.metrics import RankMetrics

ScoreMetric = Callable[[RankMetrics], float]


def score_metrics(metrics: RankMetrics) -> dict[str, float]:
    """Compute all registered metrics: those of a table row in its order, then the others in the order of their names.

    Raises:
        UsageError: a value is not a number between 0 and 1.
    """
    values = {}
    given = replace(
        metrics,
        cmc=_read_only(metrics.cmc),
        average_precision=_read_only(metrics.average_precision),
        first_match_rank=_read_only(metrics.first_match_rank),
    )
    for name in (*METRICS, *(name for name in SCORE_METRICS.names() if name not in METRICS)):
        value = SCORE_METRICS.get(name)(given)
        try:
            values[name] = float(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"metric '{name}' is {value!r:.40}; return a number from 0 to 1") from error
        if not 0 <= values[name] <= 1:
            raise UsageError(f"metric '{name}' is {values[name]}; a record holds numbers from 0 to 1")
    return values


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that a metric cannot write into; the scores of the queries are saved later."""
    view = array.view()
    view.flags.writeable = False
    return view


def _rank(k: int) -> ScoreMetric:
    return lambda metrics: metrics.rank(k)


for _k in RANKS:
    SCORE_METRICS.register(f"R{_k}")(_rank(_k))
SCORE_METRICS.register("mAP")(lambda metrics: metrics.mAP)
SCORE_METRICS.register("mINP")(lambda metrics: metrics.mINP)
