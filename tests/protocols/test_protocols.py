from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from tests.protocols.scenes import (
    Embedder,
    LLCMScene,
    Scene,
    published_counts,
    small_llcm_scene,
    small_scene,
    write_permutations,
)
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.protocols.base import ProtocolConfig
from usvi_bench.protocols.draws import seeded_gallery
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.rules import rank_metrics

NAMES = ("sysu_all", "sysu_indoor", "regdb_v2i", "regdb_i2v", "llcm_v2i", "llcm_i2v")
KEYS = ["R1", "R5", "R10", "R20", "mAP", "mINP"]


def make(name, **settings):
    return PROTOCOLS.get(name)(ProtocolConfig(**settings))


def scene_of(name):
    if name.startswith("llcm"):
        return small_llcm_scene()
    return small_scene() if name.startswith("sysu") else small_scene(name="regdb", folds=(1, 2))


def test_all_are_registered():
    assert set(NAMES) <= set(PROTOCOLS.names())
    for name in NAMES:
        protocol = PROTOCOLS.get(name)
        assert protocol.name == name
        assert protocol.summary


def test_who_queries():
    modalities = {name: (PROTOCOLS.get(name).query, PROTOCOLS.get(name).gallery) for name in NAMES}
    assert modalities["sysu_all"] == modalities["sysu_indoor"] == modalities["regdb_i2v"] == ("infrared", "visible")
    assert modalities["regdb_v2i"] == modalities["llcm_v2i"] == ("visible", "infrared")
    assert modalities["llcm_i2v"] == ("infrared", "visible")


@pytest.mark.parametrize(
    ("name", "shots", "size"),
    [("sysu_all", 1, 301), ("sysu_all", 10, 3010), ("sysu_indoor", 1, 112), ("sysu_indoor", 10, 1120)],
)
def test_sysu_galleries_have_the_published_sizes(name, shots, size):
    data = Scene(published_counts())
    protocol = make(name, shots=shots)
    assert [len(rows) for rows in protocol.galleries(data, 1)] == [size] * 10
    assert len(protocol.tables(data, 1)[0]) == 3803


@pytest.mark.parametrize(("name", "valid"), [("sysu_all", 3803), ("sysu_indoor", 2208)])
def test_the_published_number_of_queries_is_valid(name, valid):
    ranking = make(name).evaluate(Embedder(), Scene(published_counts()), 1, 1).ranking
    assert (~np.isnan(ranking.average_precision)).sum() == valid


@pytest.mark.parametrize("name", ["sysu_all", "sysu_indoor"])
def test_sysu_scores_ten_galleries_from_one_embedding(name):
    data, embed = small_scene(), Embedder()
    result = make(name).evaluate(embed, data, fold=1, trained_on=1)
    assert [table.modality for table in embed.calls] == ["infrared", "visible"]
    assert [(score.fold, score.trial) for score in result.scores] == [(1, trial) for trial in range(10)]
    query, pool = data.split.infrared, data.split.visible
    for trial in (0, 7):
        rows = seeded_gallery(pool, (1, 2, 4, 5) if name == "sysu_all" else (1, 2), trial)
        similarity = Embedder()(query).astype(float) @ Embedder()(pool)[rows].astype(float).T
        expected = rank_metrics(similarity, query.identities, pool.identities[rows], query.cameras, pool.cameras[rows])
        assert list(result.scores[trial].metrics) == KEYS
        assert result.scores[trial].metrics["mAP"] == pytest.approx(expected.mAP, abs=1e-12)
        assert result.scores[trial].metrics["R5"] == pytest.approx(expected.rank(5), abs=1e-12)


@pytest.mark.parametrize(("name", "first"), [("regdb_v2i", "visible"), ("regdb_i2v", "infrared")])
def test_regdb_compares_everything_once_a_fold(name, first):
    data, embed = scene_of(name), Embedder()
    result = make(name).evaluate(embed, data, fold=2, trained_on=2)
    assert embed.calls[0].modality == first
    assert [(score.fold, score.trial) for score in result.scores] == [(2, 0)]
    query, pool = embed.calls
    similarity = Embedder()(query).astype(float) @ Embedder()(pool).astype(float).T
    expected = rank_metrics(similarity, query.identities, pool.identities, rule="regdb")
    assert result.scores[0].metrics["mINP"] == pytest.approx(expected.mINP, abs=1e-12)
    assert len(result.ranking.gallery) == len(pool)


def hidden(name, query, q, pool, r):
    """Tell whether a protocol leaves out image ``r`` of the gallery modality for query ``q``."""
    if name.startswith("sysu"):
        return query.cameras[q] == 3 and pool.cameras[r] == 2
    same = query.identities[q] == pool.identities[r] and query.cameras[q] == pool.cameras[r]
    return name.startswith("llcm") and same


@pytest.mark.parametrize(("name", "first"), [("llcm_v2i", "visible"), ("llcm_i2v", "infrared")])
def test_llcm_scores_all_queries_of_the_first_modality_by_a_naive_loop(name, first):
    """The public code scores drawn infrared queries against all visible images as "visible to infrared"."""
    data, embed = small_llcm_scene(), Embedder()
    result = make(name).evaluate(embed, data, fold=1, trained_on=1)
    query, pool = embed.calls
    assert (query.modality, len(query)) == (
        first,
        len(data.split.visible if first == "visible" else data.split.infrared),
    )
    assert [(score.fold, score.trial) for score in result.scores] == [(1, trial) for trial in range(10)]
    features = Embedder()(query).astype(float), Embedder()(pool).astype(float)
    for trial, rows in enumerate(make(name).galleries(data, 1)):
        precisions, firsts = [], []
        for q in range(len(query)):
            seen = [r for r in rows if not hidden(name, query, q, pool, r)]
            ranked = sorted(seen, key=lambda r: -(features[0][q] @ features[1][r]))
            right = [pool.identities[r] == query.identities[q] for r in ranked]
            if any(right):
                hits = [rank for rank, hit in enumerate(right, 1) if hit]
                precisions.append(np.mean([k / rank for k, rank in enumerate(hits, 1)]))
                firsts.append(right[0])
        assert result.scores[trial].metrics["mAP"] == pytest.approx(np.mean(precisions), abs=1e-12)
        assert result.scores[trial].metrics["R1"] == pytest.approx(np.mean(firsts), abs=1e-12)
        assert len(precisions) == sum(query.identities != 4), "only the query's own camera sees person 4"


@pytest.mark.parametrize("name", ["llcm_v2i", "llcm_i2v"])
def test_llcm_people_seen_by_one_camera_only_cannot_be_scored(name):
    with pytest.raises(UsageError, match="fold 1, trial 0: none of the"):
        make(name).check(LLCMScene({(1, 2, 0): 3, (1, 2, 1): 3, (2, 5, 0): 2, (2, 5, 1): 2}))


@pytest.mark.parametrize(
    ("settings", "message"), [({"shots": 10}, "single-shot: .* must be 1"), ({"gallery": "official"}, "must be seeded")]
)
def test_llcm_has_one_kind_of_gallery(settings, message):
    with pytest.raises(UsageError, match=message):
        make("llcm_v2i", **settings).check(small_llcm_scene())


@pytest.mark.parametrize("name", NAMES)
def test_the_ranking_is_what_was_scored(name):
    data = scene_of(name)
    protocol = make(name)
    ranking = protocol.evaluate(Embedder(), data, 1, 1).ranking
    query, pool = protocol.tables(data, 1)
    similarity = Embedder()(query).astype(float) @ Embedder()(pool).astype(float).T
    gallery = protocol.galleries(data, 1)[0]
    np.testing.assert_array_equal(ranking.gallery, gallery)
    np.testing.assert_array_equal(ranking.query, np.arange(len(query)))
    assert ranking.order.shape == ranking.scores.shape == ranking.matches.shape == (len(query), min(20, len(gallery)))
    for q in range(len(query)):
        seen = [r for r in gallery if not hidden(name, query, q, pool, r)]
        expected = sorted(seen, key=lambda r: -similarity[q, r])[: ranking.order.shape[1]]
        row = ranking.order[q]
        assert row[row >= 0].tolist() == expected
        assert (row[len(expected) :] == -1).all()
        assert np.isnan(ranking.scores[q, len(expected) :]).all()
        np.testing.assert_allclose(ranking.scores[q, : len(expected)], similarity[q, expected])
        same = pool.identities[expected] == query.identities[q]
        np.testing.assert_array_equal(ranking.matches[q], [*same, *[False] * (len(row) - len(expected))])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_another_fold_is_refused(name):
    embed = Embedder()
    with pytest.raises(UsageError, match="trained on fold 2 cannot be scored on fold 1"):
        make(name).evaluate(embed, scene_of(name), fold=1, trained_on=2)
    assert embed.calls == []


@pytest.mark.parametrize("name", NAMES)
def test_no_global_random_state_is_touched(name):
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    data, protocol = scene_of(name), make(name)
    before = state()
    protocol.check(data)
    first = protocol.evaluate(Embedder(), data, 1, 1)
    protocol.chance(data, 1)
    assert state() == before
    random.seed(3)
    np.random.seed(3)
    assert protocol.evaluate(Embedder(), data, 1, 1).scores == first.scores


@pytest.mark.parametrize(
    ("name", "number"), [("sysu_all", 10), ("sysu_indoor", 10), ("regdb_v2i", 2), ("llcm_v2i", 10)]
)
def test_a_complete_result_has_the_trials_of_all_folds(name, number):
    data, protocol = scene_of(name), make(name)
    assert protocol.trials_per_fold * len(protocol.folds(data)) == number
    scores = [s for fold in protocol.folds(data) for s in protocol.evaluate(Embedder(), data, fold, fold).scores]
    assert len(scores) == number


def test_how_galleries_were_drawn_goes_into_the_record():
    assert make("sysu_all", shots=10).kind() == {"shots": 10, "gallery": "seeded"}
    assert make("regdb_i2v").kind() == {"shots": None, "gallery": "all"}


@pytest.mark.parametrize("name", NAMES)
def test_chance_is_the_score_of_a_blind_model(name):
    data, protocol = scene_of(name), make(name)
    chance = protocol.chance(data, 1)
    assert list(chance) == KEYS
    assert chance == protocol.chance(data, 1)
    assert chance != protocol.chance(data, 1, seed=1)
    blind = [protocol.chance(data, 1, seed)["mAP"] for seed in range(20)]
    assert chance["mAP"] == pytest.approx(np.mean(blind), abs=5 * np.std(blind) + 1e-9)
    assert chance["mAP"] < protocol.evaluate(Embedder(3.0), data, 1, 1).scores[0].metrics["mAP"] - 0.2


def test_chance_of_one_image_each_is_known():
    """With six people and one image each from one camera, all ranks of the first hit are equally likely."""
    data = Scene({(i, c): 40 if c == 6 else 1 for i in range(1, 7) for c in (1, 6)})
    chance = make("sysu_all").chance(data, 1)
    assert chance["R1"] == pytest.approx(1 / 6, abs=0.03)
    assert chance["mAP"] == chance["mINP"] == pytest.approx(sum(1 / k for k in range(1, 7)) / 6, abs=0.03)
    assert chance["R10"] == 1.0


@pytest.mark.parametrize(
    ("settings", "message"), [({"shots": 5}, "choose 1 or 10"), ({"gallery": "oficial"}, "did you mean official")]
)
def test_settings_are_checked(settings, message):
    with pytest.raises(UsageError, match=message):
        ProtocolConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"), [({"shots": 10}, "must be 1"), ({"gallery": "official"}, "draws no gallery")]
)
def test_regdb_has_nothing_to_draw(settings, message):
    with pytest.raises(UsageError, match=message):
        make("regdb_v2i", **settings).check(scene_of("regdb_v2i"))


@pytest.mark.parametrize("name", NAMES)
def test_the_check_passes_where_the_data_set_fits(name):
    make(name).check(scene_of(name))


def test_another_data_set_is_refused():
    with pytest.raises(
        UsageError, match="sysu_all scores 'sysu', the data set is 'regdb': choose a protocol that fits"
    ):
        make("sysu_all").check(scene_of("regdb_v2i"))


@pytest.mark.parametrize(
    "counts",
    [
        {(1, 4): 3, (1, 6): 3},  # nobody indoors
        {(1, 1): 3, (2, 6): 3},  # nobody in both modalities
        {(1, 2): 3, (1, 3): 3},  # the only gallery camera is the one that the queries do not see
    ],
)
def test_images_that_cannot_be_scored_are_refused_before_training(counts):
    with pytest.raises(UsageError, match="fold 1, trial 0: none of the 3 infrared queries"):
        make("sysu_indoor").check(Scene(counts))


def test_official_galleries_need_the_file_before_training(tmp_path):
    data = small_scene(root=tmp_path)
    protocol = make("sysu_all", gallery="official")
    with pytest.raises(UsageError, match=r"rand_perm_cam\.mat"):
        protocol.check(data)
    (tmp_path / "exp").mkdir()
    orders = write_permutations(tmp_path / "exp" / "rand_perm_cam.mat", data.split.visible)
    protocol.check(data)
    result = protocol.evaluate(Embedder(), data, 1, 1)
    assert len(result.scores) == 10
    first = data.split.visible.paths[result.ranking.gallery[0]]
    assert first == f"cam1/0001/{orders[1, 1][0][0]:04d}.jpg"


def test_embeddings_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="embed returned"):
        make("sysu_all").evaluate(lambda table: np.zeros((3, 4), dtype=np.float32), small_scene(), 1, 1)


def test_broken_features_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        make("sysu_all").evaluate(lambda t: np.full((len(t), 4), np.nan, dtype=np.float32), small_scene(), 1, 1)


def refused(monkeypatch, message, **methods):
    for name, method in methods.items():
        monkeypatch.setattr(PROTOCOLS.get("sysu_all"), name, method)
    with pytest.raises(UsageError, match=message):
        make("sysu_all").check(small_scene())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: None, r"galleries\(\) of 'sysu_all' returned NoneType; return a tuple of trials_per_fold=10"),
        (lambda rows: (), "returned tuple of 0; return a tuple of trials_per_fold=10"),
        (lambda rows: rows[:3], "returned tuple of 3"),
        (lambda rows: [each.tolist() for each in rows], "trial 0: list; return an array of rows from 0 to"),
        (lambda rows: [each * 1.0 for each in rows], r"trial 0: float64 of \(\d+,\); return an array of rows"),
        (lambda rows: [each - 10**6 for each in rows], "return an array of rows"),
        (lambda rows: [np.random.permutation(each) for each in rows], "returned other rows when called again"),
    ],
)
def test_odd_galleries_are_refused_before_training(change, message, monkeypatch):
    drawn = PROTOCOLS.get("sysu_all").galleries
    refused(monkeypatch, message, galleries=lambda self, data, fold: change(drawn(self, data, fold)))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (None, r"masks\(\) of 'sysu_all' returned NoneType; return RetrievalMasks"),
        (RetrievalMasks(np.ones((1, 1), bool)), r"masks\(\) of 'sysu_all': positives must be bool of"),
    ],
)
def test_odd_masks_are_refused_before_training(masks, message, monkeypatch):
    refused(monkeypatch, message, masks=lambda self, query, gallery: masks)


def test_odd_folds_and_tables_are_refused_before_training(monkeypatch):
    for folds in ((), (7,), 1, [1, 1]):
        refused(
            monkeypatch,
            r"folds\(\) of 'sysu_all' returned .*; return one or more of 1, each once",
            folds=lambda *_, f=folds: f,
        )
    monkeypatch.undo()
    refused(monkeypatch, r"tables\(\) of 'sysu_all' returned None; return two tables", tables=lambda *_: None)
