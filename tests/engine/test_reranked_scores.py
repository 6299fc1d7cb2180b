"""Re-ranked scores: those of the definition, added to a record on request and nothing else of it changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import usvi_bench
from tests.components.clustering.test_reranking import distances, naive
from tests.engine.external import evaluate, small_weights, write_small_features
from tests.protocols.scenes import Embedder, small_scene
from usvi_bench.core.metrics import METRICS, RERANKED
from usvi_bench.core.record import Record
from usvi_bench.engine.reranking import reranked_scores
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.protocols.rules import rank_metrics
from usvi_bench.protocols.sysu import SysuAll

KIND = {"model": "student", "selection": "last", "shots": 1, "gallery": "seeded", "feature": "bn+flip"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_trial_is_re_ranked_by_the_definition() -> None:
    scene, embed, protocol = small_scene(), Embedder(0.7), SysuAll()
    found = reranked_scores(embed, protocol, scene, 1, KIND)
    query, pool = protocol.tables(scene, 1)
    queries, candidates = embed(query).astype(float), embed(pool).astype(float)
    assert [score.trial for score in found] == [*range(10)]
    assert {score.feature for score in found} == {f"bn+flip{RERANKED}"}
    for score, rows in list(zip(found, protocol.galleries(scene, 1), strict=True))[:3]:
        every = np.concatenate([queries, candidates[rows]])
        distance = naive(distances(every, every), len(query), 20, 6, 0.3).round(6)
        gallery = pool.take(rows)
        sides = (query.identities, gallery.identities, query.cameras, gallery.cameras)
        right = rank_metrics(-distance, *sides)
        assert score.metrics["mAP"] == pytest.approx(right.mAP, abs=1e-9)
        assert score.metrics["R1"] == pytest.approx(right.rank(1), abs=1e-9)


def parts(record: Record) -> tuple[list, list]:
    plain = [score for score in record.result.scores if not score.feature.endswith(RERANKED)]
    return plain, [score for score in record.result.scores if score.feature.endswith(RERANKED)]


def test_a_run_adds_the_kind_and_changes_nothing_else(tiny_people: dict[str, Path]) -> None:
    settings = {"data.height": 32, "data.width": 16, "engine.threads": 1}
    options = {"settings": settings, "device": "cpu", "verbose": False}
    before = usvi_bench.run("untrained", "sysu_all", tiny_people["sysu"], **options)
    options["settings"] = {**settings, "engine.rerank": True}
    after = usvi_bench.run("untrained", "sysu_all", tiny_people["sysu"], **options)
    plain, reranked = parts(after)
    assert replace(after.result, scores=plain) == before.result
    assert len(list(Path("runs/sysu_all").iterdir())) == 1, "the same run, scored again"
    assert len(reranked) == len(plain) == 10
    assert [score.trial for score in reranked] == [score.trial for score in plain]
    assert after.means() == before.means()
    kind = {"feature": f"bn+flip{RERANKED}"}
    assert set(after.means(**kind)) == set(METRICS)
    assert faults(after) == faults(before) == []


@pytest.mark.parametrize("features", [False, True])
def test_an_external_model_is_re_ranked_too(features: bool, tiny_people: dict[str, Path]) -> None:
    dataset = usvi_bench.open_data("sysu_all", tiny_people["sysu"], verbose=False)
    given = (
        {"features": write_small_features(Path("f.npz"), dataset)} if features else {"weights": small_weights(Path())}
    )
    record = evaluate("sysu_all", dataset.root, settings={"engine.rerank": True}, **given)
    plain, reranked = parts(record)
    assert len(plain) == len(reranked) == 10
    assert {score.feature for score in reranked} == {("given" if features else "bn+flip") + RERANKED}
    assert faults(record) == []
