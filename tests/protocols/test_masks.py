"""Metrics of arbitrary masks against a loop, and the published rules as masks against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import usvi_bench
from tests.protocols.scenes import Embedder, Scene, small_scene
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.protocols import metrics
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.metrics import retrieval_metrics, score_galleries
from usvi_bench.protocols.ranks import compiled_scores, torch_scores
from usvi_bench.protocols.rules import RULES, rank_metrics
from usvi_bench.protocols.sysu import SysuAll


def naive(similarity, positives, ignored, cmc_units):
    """AP, INP and rank of the first match of each query, from the definitions."""
    scores = []
    for row, right, hidden in zip(similarity, positives, ignored, strict=True):
        order = sorted((j for j in range(len(row)) if not hidden[j]), key=lambda j: (-row[j], j))
        hits = [place for place, j in enumerate(order) if right[j]]
        if not hits:
            scores.append((math.nan, math.nan, -1))
            continue
        first = order[hits[0]]
        others = {cmc_units[j] for j in order[: hits[0]]} - {cmc_units[first]}
        precision = sum((k + 1) / (hit + 1) for k, hit in enumerate(hits)) / len(hits)
        scores.append((precision, len(hits) / (hits[-1] + 1), len(others)))
    return scores


@st.composite
def masked(draw):
    queries, gallery = draw(st.integers(1, 10)), draw(st.integers(1, 14))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (queries, gallery)
    similarity = generator.normal(size=shape) if draw(st.booleans()) else generator.choice([-np.inf, 0, 1.0], shape)
    positives = generator.random(shape) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    ignored = generator.random(shape) < draw(st.sampled_from([0.0, 0.4, 0.9]))
    return similarity, positives, ignored, generator.choice([-3, 7, 8, 40], gallery)


@settings(max_examples=250, deadline=None)
@given(
    case=masked(),
    rows=st.sampled_from([1, 3, 100]),
    units=st.booleans(),
    back_end=st.sampled_from([compiled_scores, torch_scores]),
)
def test_arbitrary_masks_equal_the_loop(case, rows, units, back_end):
    similarity, positives, ignored, cmc_units = case
    cmc_units = cmc_units if units else np.arange(len(cmc_units))
    precision, penalty, first = map(np.array, zip(*naive(similarity, positives, ignored, cmc_units), strict=True))
    arguments = (similarity, positives, ignored if ignored.any() else None, cmc_units if units else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "ROWS", rows)
        patch.setattr(metrics, "BLOCK", 1)
        patch.setattr(metrics, "score_queries", back_end)
        if np.isnan(precision).all():
            with pytest.raises(ValueError, match="no valid query"):
                retrieval_metrics(*arguments)
            return
        result = retrieval_metrics(*arguments)
    np.testing.assert_allclose(result.average_precision, precision, atol=1e-12)
    np.testing.assert_array_equal(result.first_match_rank, first)
    assert result.mAP == pytest.approx(np.nanmean(precision), abs=1e-12)
    assert result.mINP == pytest.approx(np.nanmean(penalty), abs=1e-12)
    found = first[first >= 0]
    assert result.cmc.tolist() == [np.sum(found <= k) / len(found) for k in range(len(set(cmc_units.tolist())))]


def test_a_positive_that_is_ignored_is_not_counted():
    similarity, positives = [[0.9, 0.8, 0.7]], np.array([[True, False, True]])
    result = retrieval_metrics(similarity, positives, ignored=np.array([[True, False, False]]))
    assert (result.mAP, result.mINP, result.cmc.tolist()) == (0.5, 0.5, [0.0, 1.0, 1.0])


def test_a_query_without_a_positive_that_it_sees_counts_nowhere():
    positives = np.array([[True, False], [True, False], [False, False]])
    ignored = np.array([[False, False], [True, False], [False, False]])
    result = retrieval_metrics(np.tile([0.2, 0.1], (3, 1)), positives, ignored)
    np.testing.assert_array_equal(result.average_precision, [1.0, np.nan, np.nan])
    assert result.first_match_rank.tolist() == [0, -1, -1]
    assert (result.mAP, result.mINP, result.cmc.tolist()) == (1.0, 1.0, [1.0, 1.0])


def test_a_unit_that_holds_the_match_costs_no_rank():
    """Its better image that does not match is of the same unit, hence no other unit is before it."""
    positives = np.array([[False, True, False]])
    assert retrieval_metrics([[0.9, 0.8, 0.7]], positives, cmc_units=["a", "a", "b"]).cmc.tolist() == [1.0, 1.0]


def test_masks_may_be_lists_tensors_or_of_another_layout():
    generator = np.random.default_rng(0)
    similarity, positives, ignored = generator.random((6, 9)), generator.random((6, 9)) < 0.5, np.eye(6, 9) > 0
    units = np.arange(9) // 2
    expected = retrieval_metrics(similarity, positives, ignored, units)
    frozen = positives.copy()
    frozen.flags.writeable = False
    for right, hidden, own in (
        (positives.tolist(), ignored.tolist(), units.tolist()),
        (torch.tensor(positives), torch.tensor(ignored), torch.tensor(units)),
        (np.asfortranarray(positives), np.repeat(ignored, 2, axis=1)[:, ::2], units.astype(str)),
        (frozen, np.broadcast_to(ignored, (6, 9)), units.astype(np.uint8)),
    ):
        result = retrieval_metrics(similarity, right, hidden, own)
        np.testing.assert_array_equal(result.average_precision, expected.average_precision)
        np.testing.assert_array_equal(result.cmc, expected.cmc)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"positives": np.ones((3, 2), bool)}, r"positives must be bool .*\(2, 3\); it is bool of \(3, 2\)"),
        ({"positives": np.ones((2, 3), int)}, r"positives must be bool .*\(2, 3\); it is int64 of \(2, 3\)"),
        ({"ignored": np.ones((1, 3), bool)}, r"ignored must be bool .*\(2, 3\); it is bool of \(1, 3\)"),
        ({"ignored": np.ones((2, 3))}, r"ignored must be bool .*\(2, 3\); it is float64 of \(2, 3\)"),
        ({"cmc_units": [1, 2]}, r"cmc_units must have shape \(3,\).* it has \(2,\)"),
        ({"cmc_units": np.ones((1, 3))}, r"cmc_units must have shape \(3,\).* it has \(1, 3\)"),
    ],
)
def test_masks_that_do_not_fit_are_refused_in_one_line(masks, message):
    given = {"positives": np.ones((2, 3), bool), **masks}
    with pytest.raises(ValueError, match=message) as caught:
        retrieval_metrics(np.ones((2, 3)), **given)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=message):
        score_galleries(np.eye(2), np.ones((4, 2)), [[0, 1, 3]], lambda rows, gallery: RetrievalMasks(**given))


PEOPLE = st.tuples(st.integers(1, 3), st.integers(1, 6))
"""Identity and camera of an image."""


@given(queries=st.lists(PEOPLE, min_size=1, max_size=8), gallery=st.lists(PEOPLE, min_size=1, max_size=8))
def test_rules_are_masks_by_their_definitions(queries, gallery):
    def place(camera):
        return 2 if camera == 3 else camera

    pairs = [[(q, g) for g in gallery] for q in queries]
    (query_ids, query_cams), (ids, cams) = np.array(queries).T, np.array(gallery).T
    hidden = {
        "sysu": [[place(q[1]) == place(g[1]) for q, g in row] for row in pairs],
        "llcm": [[q == g for q, g in row] for row in pairs],
        "regdb": [[False for _ in row] for row in pairs],
    }
    assert set(hidden) == set(RULES)
    similarity = np.random.default_rng(len(queries)).integers(0, 4, (len(queries), len(gallery)))
    for rule, expected in hidden.items():
        masks = RULES[rule](query_ids, ids, query_cams, cams)
        positives, ignored = masks.arrays(similarity.shape)
        assert positives.tolist() == [[q[0] == g[0] for q, g in row] for row in pairs]
        assert ignored.tolist() == expected
        count = len(gallery) if rule == "regdb" else len(set(ids.tolist()))
        assert len(np.unique(masks.units(len(gallery)))) == count
        arguments = (similarity, query_ids, ids, query_cams, cams, rule)
        if not (positives & ~ignored).any():
            with pytest.raises(ValueError, match="no valid query"):
                rank_metrics(*arguments)
            continue
        wrapper = rank_metrics(*arguments)
        direct = retrieval_metrics(similarity, masks.positives, masks.ignored, masks.cmc_units)
        np.testing.assert_array_equal(wrapper.average_precision, direct.average_precision)
        assert (wrapper.cmc.tolist(), wrapper.mINP) == (direct.cmc.tolist(), direct.mINP)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        *(("sysu_all", "sysu"), ("sysu_indoor", "sysu"), ("regdb_v2i", "regdb"), ("regdb_i2v", "regdb")),
        *(("llcm_v2i", "llcm"), ("llcm_i2v", "llcm")),
    ],
)
def test_protocols_give_the_masks_of_their_rule(name, rule):
    protocol = PROTOCOLS.get(name)()
    query, pool = protocol.tables(small_scene(), 1)
    found = protocol.masks(query, pool)
    expected = RULES[rule](query.identities, pool.identities, query.cameras, pool.cameras)
    size = len(query), len(pool)
    for one, other in zip(found.arrays(size), expected.arrays(size), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.units(len(pool)), expected.units(len(pool)))


class CameraFour(SysuAll):
    """A rule of its own: images of the next person match, only camera 4 is seen, the CMC counts images."""

    blocks: list[int]

    def masks(self, query, gallery):
        self.blocks.append(len(query))
        positives = query.identities[:, None] + 1 == gallery.identities
        return RetrievalMasks(positives, np.tile(gallery.cameras != 4, (len(query), 1)))


def test_a_protocol_may_write_a_rule_of_its_own(monkeypatch):
    data, protocol = small_scene(), CameraFour()
    protocol.blocks = []
    protocol.check(data)
    assert protocol.blocks == [len(data.split.infrared)] * 10
    whole = protocol.evaluate(Embedder(), data, 1, 1)
    monkeypatch.setattr(metrics, "BLOCK", 1)
    monkeypatch.setattr(metrics, "ROWS", 5)
    protocol.blocks = []
    result = protocol.evaluate(Embedder(), data, 1, 1)
    assert set(protocol.blocks) <= set(range(1, 6))
    assert result.scores == whole.scores
    query, pool = protocol.tables(data, 1)
    ranking, similarity = result.ranking, Embedder()(query).astype(float) @ Embedder()(pool).astype(float).T
    for row, matches, who, scores in zip(ranking.order, ranking.matches, query.identities, similarity, strict=True):
        seen = [image for image in ranking.gallery if pool.cameras[image] == 4]
        assert row[row >= 0].tolist() == sorted(seen, key=lambda image: -scores[image])[: len(row)]
        assert matches.tolist() == [bool(j >= 0 and pool.identities[j] == who + 1) for j in row]
    assert np.isnan(ranking.average_precision[query.identities == 6]).all()
    assert 0 < protocol.chance(data, 1)["mAP"] < 1


def test_a_rule_that_hides_everything_is_refused_before_training():
    class Blind(SysuAll):
        def masks(self, query, gallery):
            return RetrievalMasks(*np.ones((2, len(query), len(gallery)), bool))

    with pytest.raises(UsageError, match="fold 1, trial 0: none of the"):
        Blind().check(small_scene())


def test_rows_of_a_table():
    table = Scene({(1, 1): 2, (2, 2): 1}).split.visible
    taken = table.take(np.array([2, 0]))
    assert (taken.paths, taken.modality, taken.root) == ((table.paths[2], table.paths[0]), "visible", table.root)
    assert (taken.identities.tolist(), taken.cameras.tolist()) == ([2, 1], [2, 1])
    assert table.take(slice(1, 9)).paths == table.paths[1:]


def test_both_functions_are_public():
    assert usvi_bench.retrieval_metrics is retrieval_metrics
    assert usvi_bench.rank_metrics is rank_metrics


@pytest.mark.parametrize(
    "similarity",
    [
        np.ma.masked_array(np.ones((1, 3)), mask=[[True, False, False]]),
        np.ones((1, 3), complex),
        torch.ones(1, 3, dtype=torch.complex64),
        torch.ones(1, 3).to_sparse(),
        torch.ones(1, 3, device="meta"),
        np.array([["a", "b", "c"]]),
    ],
    ids=["masked", "complex", "complex tensor", "sparse", "meta", "text"],
)
def test_similarities_that_are_not_plain_numbers_are_refused(similarity):
    with pytest.raises(ValueError, match="similarity must be a plain array of real numbers"):
        retrieval_metrics(similarity, np.array([[True, False, False]]))


@pytest.mark.parametrize("units", [[None], [None, 1, 2], [np.nan, 1, 2], [1j, 2, 3], [object()] * 3])
def test_units_that_cannot_be_compared_are_refused(units) -> None:
    similarity, positives = np.zeros((1, len(units))), np.ones((1, len(units)), bool)
    with pytest.raises(ValueError, match="cmc_units must be finite numbers or text"):
        retrieval_metrics(similarity, positives, cmc_units=units)


@pytest.mark.parametrize("kind", ["text", "none", "nan"])
def test_cameras_must_be_numbers(kind: str) -> None:
    odd = {"text": "a", "none": None, "nan": np.nan}[kind]
    for rule in ("sysu", "llcm"):
        with pytest.raises(ValueError, match="query_cams must be finite numbers"):
            rank_metrics(np.zeros((1, 2)), [1], [1, 2], [odd], [odd, odd], rule)


def test_identities_may_be_text_but_not_on_one_side_only() -> None:
    by_number = rank_metrics([[0.9, 0.8]], [5], [6, 5], rule="regdb")
    assert rank_metrics([[0.9, 0.8]], ["e"], ["f", "e"], rule="regdb").mAP == by_number.mAP == 0.5
    with pytest.raises(ValueError, match=r"query_ids of <U1 cannot match gallery_ids of int64"):
        rank_metrics([[0.9, 0.8]], ["5"], [6, 5], rule="regdb")


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_whole_similarities_that_doubles_would_make_equal_are_refused(make) -> None:
    positives = [[False, True]]
    assert retrieval_metrics(make([[2**53 - 2, 2**53 - 1]]), positives).mAP == 1
    for values in ([[2**53, 2**53 + 1]], [[-(2**60), 3]]):
        with pytest.raises(ValueError, match=r"2\*\*53 or more are not exact"):
            retrieval_metrics(make(values), positives)


@pytest.mark.parametrize(
    ("gallery", "message"),
    [
        (np.array([True, False, True]), r"galleries\[0\] must be row numbers \[G\]; it is bool of \(3,\)"),
        (np.array([0.0, 1.0]), "it is float64"),
        (np.array([[0, 1]]), r"of \(1, 2\)"),
        (np.array([1, 3]), "has rows 1 to 3; candidates has rows 0 to 2"),
        (np.array([-1]), "has rows -1 to -1"),
    ],
)
def test_galleries_are_row_numbers(gallery, message: str) -> None:
    masks = RetrievalMasks(np.ones((2, gallery.size), bool))
    with pytest.raises(ValueError, match=message):
        score_galleries(torch.eye(2), torch.ones(3, 2), [gallery], lambda *_: masks)


def test_rows_of_unsigned_bytes_are_no_mask() -> None:
    masks = RetrievalMasks(np.eye(2, 3, dtype=bool))
    found = [
        score_galleries(torch.eye(2), torch.eye(3)[:, :2], [np.array([0, 1, 2], kind)], lambda *_: masks).metrics[0]
        for kind in (np.uint8, np.int64)
    ]
    assert found[0].mAP == found[1].mAP == 1
