from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.leaderboard.records import make_record
from tests.protocols.scenes import Embedder, small_scene
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import read_record, write_record
from usvi_bench.core.registry import PROTOCOLS, SCORE_METRICS
from usvi_bench.protocols.metrics import retrieval_metrics
from usvi_bench.protocols.score_metrics import score_metrics


@pytest.fixture
def rank_15():
    SCORE_METRICS.register("R15")(lambda metrics: metrics.rank(15))
    yield
    SCORE_METRICS.forget("R15")


def example():
    generator = np.random.default_rng(0)
    return retrieval_metrics(generator.random((40, 30)), generator.random((40, 30)) < 0.05)


def test_the_six_of_every_table_come_in_its_order():
    metrics = example()
    values = [*map(metrics.rank, (1, 5, 10, 20)), metrics.mAP, metrics.mINP]
    assert list(score_metrics(metrics).items()) == list(zip(METRICS, values, strict=True))


def test_a_further_metric_goes_into_scores_and_records(rank_15, tmp_path):
    metrics = example()
    assert list(score_metrics(metrics)) == [*METRICS, "R15"]
    assert score_metrics(metrics)["R15"] == metrics.cmc[14] != metrics.cmc[9]
    protocol, data = PROTOCOLS.get("sysu_all")(), small_scene()
    scores = protocol.evaluate(Embedder(), data, 1, 1).scores
    assert "R15" in scores[0].metrics
    assert "R15" in protocol.chance(data, 1)
    record = make_record("pgm", 0)
    entries = [replace(entry, metrics=scores[0].metrics) for entry in record.result.scores]
    write_record(tmp_path / "record.json", replace(record, result=replace(record.result, scores=entries)))
    read = read_record(tmp_path / "record.json")
    assert read.result.scores[0].metrics["R15"] == scores[0].metrics["R15"]
    assert list(read.means()) == list(METRICS)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "high", None, np.ones(3)])
def test_what_no_record_holds_is_refused(value):
    SCORE_METRICS.register("odd")(lambda metrics: value)
    try:
        with pytest.raises(UsageError, match="metric 'odd' is"):
            score_metrics(example())
    finally:
        SCORE_METRICS.forget("odd")


def test_a_name_is_given_once():
    with pytest.raises(UsageError, match="the metric 'mAP' is already registered"):
        SCORE_METRICS.register("mAP")(lambda metrics: 0.5)


def test_a_metric_cannot_change_the_scores_of_queries():
    def flattering(metrics):
        metrics.average_precision[:] = 1
        return 1.0

    SCORE_METRICS.register("flattering")(flattering)
    try:
        with pytest.raises(ValueError, match="read-only"):
            score_metrics(example())
    finally:
        SCORE_METRICS.forget("flattering")
