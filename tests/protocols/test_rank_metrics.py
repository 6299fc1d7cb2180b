from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from usvi_bench.protocols import metrics
from usvi_bench.protocols.ranks import best_images, compiled_scores, torch_scores
from usvi_bench.protocols.rules import RULES, rank_metrics


def naive(similarity, query_ids, gallery_ids, query_cams, gallery_cams, rule):
    """One query at a time, one image at a time, from the definitions."""
    place = {3: 2}
    length = len(gallery_ids) if rule == "regdb" else len(set(gallery_ids))
    curve, precisions, penalties, ranked = [0.0] * length, [], [], []
    for q, scores in enumerate(similarity):
        order = sorted(range(len(gallery_ids)), key=lambda j: (-scores[j], j))
        if rule == "sysu":
            here = place.get(query_cams[q], query_cams[q])
            order = [j for j in order if place.get(gallery_cams[j], gallery_cams[j]) != here]
        if rule == "llcm":
            order = [j for j in order if (gallery_ids[j], gallery_cams[j]) != (query_ids[q], query_cams[q])]
        ranked.append(order)
        hits = [position for position, j in enumerate(order) if gallery_ids[j] == query_ids[q]]
        if not hits:
            precisions.append(math.nan)
            continue
        people = []
        for j in order:
            if rule == "regdb" or gallery_ids[j] not in people:
                people.append(gallery_ids[j])
        for rank in range(people.index(query_ids[q]), length):
            curve[rank] += 1
        precisions.append(sum((k + 1) / (hit + 1) for k, hit in enumerate(hits)) / len(hits))
        penalties.append(len(hits) / (hits[-1] + 1))
    return np.array(curve) / max(len(penalties), 1), precisions, penalties, ranked


def parity_example():
    """102 gallery images of 30 people before four cameras, six queries each."""
    generator = np.random.default_rng(7)
    gallery = [
        (i, c) for i in range(30) for c in (1, 2, 4, 5) if not (c == 1 and i % 3 == 0) and not (c == 2 and i % 4 == 0)
    ]
    gallery_ids, gallery_cams = np.array(gallery).T
    query_ids, query_cams = np.repeat(np.arange(30), 6), np.tile([3, 3, 3, 6, 6, 6], 30)
    similarity = generator.normal(size=(180, 102)) + 1.5 * (query_ids[:, None] == gallery_ids)
    return similarity, query_ids, gallery_ids, query_cams, gallery_cams


def valid(result):
    return int(np.isfinite(result.average_precision).sum())


def top_ranked(similarity, query_ids, gallery_ids, query_cams, gallery_cams, rule, depth):
    """The first gallery columns of every query, in the very order that is scored."""
    masks = RULES[rule](query_ids, gallery_ids, query_cams, gallery_cams).arrays(similarity.shape)
    return best_images(torch.from_numpy(similarity), np.arange(len(gallery_ids)), *masks, depth)[0]


def score_galleries(
    queries, candidates, galleries, query_ids, ids, query_cams=None, cams=None, rule="sysu", *, depth=0
):
    """Features scored under a rule; cameras are not read by every rule."""
    query_ids, ids = np.asarray(query_ids), np.asarray(ids)
    query_cams, cams = (
        np.zeros(len(people)) if given is None else given for given, people in ((query_cams, query_ids), (cams, ids))
    )

    def masks(rows, number):
        gallery = galleries[number]
        return RULES[rule](query_ids[rows], ids[gallery], query_cams[rows], cams[gallery])

    return metrics.score_galleries(queries, candidates, galleries, masks, depth=depth)


def figures(result):
    return [*(result.rank(k) for k in (1, 5, 10, 20)), result.mAP, result.mINP]


def test_all_search_equals_the_agw_code():
    result = rank_metrics(*parity_example())
    assert figures(result) == pytest.approx([0.444444, 0.855556, 0.938889, 1.0, 0.392487, 0.188840], abs=1e-6)
    assert valid(result) == 180
    assert len(result.cmc) == 30


def test_indoor_search_equals_the_agw_code():
    similarity, query_ids, gallery_ids, query_cams, gallery_cams = parity_example()
    indoor = np.isin(gallery_cams, (1, 2))
    assert indoor.sum() == 42
    result = rank_metrics(similarity[:, indoor], query_ids, gallery_ids[indoor], query_cams, gallery_cams[indoor])
    assert figures(result) == pytest.approx([0.418440, 0.851064, 0.929078, 1.0, 0.556730, 0.523347], abs=1e-6)
    assert valid(result) == 180 - 39
    assert np.isnan(result.average_precision).sum() == 39


def test_regdb_equals_the_agw_code():
    similarity, query_ids, gallery_ids, _, _ = parity_example()
    result = rank_metrics(similarity, query_ids, gallery_ids, rule="regdb")
    assert figures(result) == pytest.approx([0.472222, 0.866667, 0.961111, 0.983333, 0.388335, 0.177822], abs=1e-6)
    assert len(result.cmc) == 102


def test_llcm_equals_its_released_code():
    similarity, query_ids, gallery_ids, _, gallery_cams = parity_example()
    cams = np.tile([1, 2, 3, 4, 5, 6], 30)
    result = rank_metrics(similarity, query_ids, gallery_ids, cams, gallery_cams, "llcm")
    assert figures(result) == pytest.approx([0.422222, 0.811111, 0.927778, 0.994444, 0.371170, 0.181980], abs=1e-6)


@st.composite
def retrievals(draw, ties):
    queries, gallery = draw(st.integers(1, 12)), draw(st.integers(1, 15))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    people = draw(st.integers(1, 6))
    shape = (queries, gallery)
    similarity = (
        generator.choice([-np.inf, 0.25, 0.5, 0.75, np.inf], shape)
        if ties
        else generator.permutation(queries * gallery).reshape(shape)
    )
    return (
        similarity.astype(draw(st.sampled_from([np.float64, np.float32]))),
        generator.integers(0, people, queries),
        generator.integers(0, people, gallery),
        generator.choice([1, 2, 3, 6], queries),
        generator.choice([1, 2, 3, 4, 5], gallery),
        draw(st.sampled_from(sorted(RULES))),
    )


BACK_ENDS = (compiled_scores, torch_scores)
"""The latter serves accelerators; here it runs on the processor."""


def blocks_of(patch, pairs, back_end=compiled_scores):
    """Few pairs at a time; a single query where ``pairs`` is 1."""
    patch.setattr(metrics, "BLOCK", pairs)
    patch.setattr(metrics, "ROWS", 1)
    patch.setattr(metrics, "score_queries", back_end)


@settings(max_examples=250, deadline=None)
@given(
    case=retrievals(ties=False) | retrievals(ties=True),
    pairs=st.sampled_from([1, 20, 1_000_000]),
    back_end=st.sampled_from(BACK_ENDS),
)
def test_it_equals_the_naive_loop(case, pairs, back_end):
    curve, precisions, penalties, ranked = naive(*(v.tolist() if isinstance(v, np.ndarray) else v for v in case))
    with pytest.MonkeyPatch.context() as patch:
        blocks_of(patch, pairs, back_end)
        if not penalties:
            with pytest.raises(ValueError, match="no valid query"):
                rank_metrics(*case)
            return
        result = rank_metrics(*case)
        top = top_ranked(*case, depth=4)
    np.testing.assert_allclose(result.cmc, curve, atol=1e-12)
    np.testing.assert_allclose(result.average_precision, precisions, atol=1e-12)
    assert result.mAP == pytest.approx(np.nanmean(precisions), abs=1e-12)
    assert result.mINP == pytest.approx(np.mean(penalties), abs=1e-12)
    assert valid(result) == len(penalties)
    width = min(4, case[0].shape[1])
    assert top.tolist() == [(order + [-1] * width)[:width] for order in ranked]


@settings(max_examples=60, deadline=None)
@given(case=retrievals(ties=False), seed=st.integers(0, 1000))
def test_without_ties_the_order_of_the_gallery_does_not_matter(case, seed):
    similarity, query_ids, gallery_ids, query_cams, gallery_cams, rule = case
    try:
        first = rank_metrics(*case)
    except ValueError:
        return
    shuffle = np.random.default_rng(seed).permutation(len(gallery_ids))
    second = rank_metrics(
        similarity[:, shuffle], query_ids, gallery_ids[shuffle], query_cams, gallery_cams[shuffle], rule
    )
    assert_same(first, second)


def test_equal_similarities_keep_the_order_of_the_gallery():
    gallery_ids = np.arange(200) % 50
    result = rank_metrics(np.zeros((50, 200)), np.arange(50), gallery_ids, rule="regdb")
    np.testing.assert_allclose(result.cmc[:50], np.arange(1, 51) / 50)
    top = top_ranked(np.zeros((1, 200)), np.zeros(1), gallery_ids, None, None, "regdb", depth=200)
    assert top[0].tolist() == list(range(200))


def test_average_precision_agrees_with_scikit_learn():
    similarity, query_ids, gallery_ids, _, _ = parity_example()
    result = rank_metrics(similarity, query_ids, gallery_ids, rule="regdb")
    expected = [
        average_precision_score(gallery_ids == identity, row)
        for identity, row in zip(query_ids, similarity, strict=True)
    ]
    np.testing.assert_allclose(result.average_precision, expected, atol=1e-12)


def test_a_wrong_person_costs_one_rank_however_many_images_there_are():
    similarity = [[0.9, 0.8, 0.7, 0.6]]
    ids, cams = [5, 5, 5, 1], [1, 4, 5, 1]
    assert rank_metrics(similarity, [1], ids, [6], cams, "sysu").cmc.tolist() == [0.0, 1.0]
    assert rank_metrics(similarity, [1], ids, rule="regdb").cmc.tolist() == [0.0, 0.0, 0.0, 1.0]


def test_camera_three_does_not_see_any_image_of_camera_two():
    similarity, ids, cams = [[0.9, 0.8, 0.1]], [5, 1, 1], [2, 2, 1]
    assert rank_metrics(similarity, [1], ids, [3], cams).rank(1) == 1.0
    assert rank_metrics(similarity, [1], ids, [6], cams).rank(1) == 0.0


def test_a_rank_beyond_a_short_curve_is_its_last_value():
    result = rank_metrics([[0.1, 0.9]], [1], [1, 2], rule="regdb")
    assert [result.rank(k) for k in (1, 2, 20)] == [0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="ranks start at 1"):
        result.rank(0)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_tensors_are_read_as_they_are(kind):
    similarity, query_ids, gallery_ids, query_cams, gallery_cams = parity_example()
    tensor = torch.tensor(similarity).to(kind).requires_grad_()
    result = rank_metrics(tensor, *map(torch.tensor, (query_ids, gallery_ids, query_cams, gallery_cams)))
    expected = rank_metrics(tensor.detach().double().numpy(), query_ids, gallery_ids, query_cams, gallery_cams)
    assert figures(result) == figures(expected)


def test_whole_numbers_and_infinities_are_similarities_too():
    assert rank_metrics(np.array([[0, 255]], dtype=np.uint8), [1], [2, 1], rule="regdb").rank(1) == 1.0
    assert rank_metrics([[-np.inf, 0.0, np.inf]], [1], [1, 1, 2], [3], [1, 1, 2], "sysu").rank(1) == 1.0


@st.composite
def searches(draw):
    """Features of whole numbers, so that products are exact and often equal, and some galleries of them."""
    queries, candidates, width = draw(st.integers(1, 12)), draw(st.integers(1, 15)), draw(st.integers(1, 3))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    people = draw(st.integers(1, 4))
    kind = draw(st.sampled_from([np.float64, np.float32]))
    return (
        generator.integers(-2, 3, (queries, width)).astype(kind),
        generator.integers(-2, 3, (candidates, width)).astype(kind),
        [
            generator.choice(candidates, draw(st.integers(1, candidates)), replace=False)
            for _ in range(draw(st.integers(1, 4)))
        ],
        generator.integers(0, people, queries),
        generator.integers(0, people, candidates),
        generator.choice([1, 2, 3, 6], queries),
        generator.choice([1, 2, 3, 4, 5], candidates),
        draw(st.sampled_from(sorted(RULES))),
    )


def assert_same(result, expected, tolerance=0.0):
    """Ranks are exact; means are so where one back-end made both."""
    np.testing.assert_array_equal(result.cmc, expected.cmc)
    np.testing.assert_array_equal(result.first_match_rank, expected.first_match_rank)
    assert figures(result) == pytest.approx(figures(expected), rel=0, abs=tolerance)
    np.testing.assert_allclose(result.average_precision, expected.average_precision, rtol=0, atol=tolerance)


@settings(max_examples=150, deadline=None)
@given(case=searches(), pairs=st.sampled_from([1, 20, 1_000_000]), back_end=st.sampled_from(BACK_ENDS))
def test_galleries_scored_together_equal_each_by_itself(case, pairs, back_end):
    queries, candidates, galleries, query_ids, ids, query_cams, cams, rule = case

    def alone(score, rows, **options):
        return score(queries @ candidates[rows].T, query_ids, ids[rows], query_cams, cams[rows], rule, **options)

    with pytest.MonkeyPatch.context() as patch:
        try:
            expected = [alone(rank_metrics, rows) for rows in galleries]
        except ValueError:
            with pytest.raises(ValueError, match="no valid query"):
                score_galleries(*case, depth=3)
            return
        blocks_of(patch, pairs, back_end)
        result = score_galleries(*case, depth=3)
    for found, wanted in zip(result.metrics, expected, strict=True):
        assert_same(found, wanted, 0.0 if back_end is compiled_scores else 1e-12)
    columns = alone(top_ranked, galleries[0], depth=3)
    similarity = np.take_along_axis(queries @ candidates[galleries[0]].T, columns, axis=1)
    np.testing.assert_array_equal(result.columns, columns)
    np.testing.assert_array_equal(result.similarity, np.where(columns < 0, np.nan, similarity))
    right = ids[galleries[0]][columns] == query_ids[:, None]
    np.testing.assert_array_equal(result.matches, right & (columns >= 0))


@pytest.mark.parametrize("size", [1, 12, 15, 16, 17, 31, 32])
def test_a_gallery_may_be_any_part_of_the_candidates(size):
    generator = np.random.default_rng(size)
    queries, candidates = generator.random((9, 4)), generator.random((32, 4))
    ids, rows = np.arange(32) % 5, generator.permutation(32)[:size]
    query_ids = ids[rows[generator.integers(0, size, 9)]]
    for pool in (candidates, candidates[: rows.max() + 1]):
        result = score_galleries(queries, pool, [rows], query_ids, ids[: len(pool)], rule="regdb").metrics[0]
        assert_same(result, rank_metrics(queries @ candidates[rows].T, query_ids, ids[rows], rule="regdb"))


@pytest.mark.parametrize("length", [7, 8, 127, 128, 129, 136, 300, 1000, 5003])
def test_precisions_agree_with_dense_rows(length):
    """Committed records were summed in numpy's order over such rows: today's scores equal theirs to 1e-9."""
    generator = np.random.default_rng(length)
    similarity, ids = generator.random((40, length)), generator.integers(0, 3, length)
    result = rank_metrics(similarity, np.zeros(40), ids, rule="regdb")
    right = ids[np.argsort(-similarity, axis=1)] == 0
    rows = np.where(right, np.cumsum(right, axis=1) / np.arange(1, length + 1), 0)
    expected = rows.sum(axis=1) / right.sum(axis=1)
    np.testing.assert_allclose(result.average_precision, expected, rtol=0, atol=1e-9)
    assert result.mAP == pytest.approx(expected.mean(), abs=1e-9)


def test_the_number_of_threads_changes_nothing():
    generator = np.random.default_rng(0)
    queries, candidates = generator.random((70, 5)), generator.random((300, 5))
    galleries = [generator.permutation(300)[:n] for n in (300, 120, 7)]
    ids, cams = generator.integers(0, 6, 370), generator.integers(1, 7, 370)
    people = (ids[:70], ids[70:], cams[:70], cams[70:])
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(score_galleries(queries, candidates, galleries, *people, depth=4))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        for found, wanted in zip(result.metrics, results[0].metrics, strict=True):
            assert_same(found, wanted)
        np.testing.assert_array_equal(result.columns, results[0].columns)


def test_random_states_are_left_as_they_were():
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    rank_metrics(*parity_example())
    score_galleries(np.eye(2), np.eye(2), [[0, 1]], [0, 1], [0, 1], rule="regdb", depth=1)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_no_more_similarity_is_held_than_a_block(monkeypatch):
    blocks_of(monkeypatch, pairs=30_000)
    held = []
    monkeypatch.setattr(
        metrics,
        "score_queries",
        lambda block, *others: (
            held.append({tuple(array.shape) for array in (block, *others[1:3])}) or compiled_scores(block, *others)
        ),
    )
    generator = np.random.default_rng(0)
    queries, candidates = generator.random((500, 4), np.float32), generator.random((10_000, 4), np.float32)
    ids = np.arange(10_000) % 3000
    score_galleries(queries, candidates, [np.arange(10_000)], ids[:500], ids, rule="regdb", depth=5)
    assert held == [{(3, 10_000)}] * 166 + [{(2, 10_000)}]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_gpu_gives_the_same_figures(rule):
    similarity, query_ids, gallery_ids, query_cams, gallery_cams = parity_example()
    similarity = np.round(similarity, 1)
    people = (query_ids, gallery_ids, query_cams, gallery_cams, rule)
    assert_same(rank_metrics(torch.tensor(similarity).cuda(), *people), rank_metrics(similarity, *people), 1e-12)
    features = [np.random.default_rng(side).integers(-3, 4, (n, 6)) * 1.0 for side, n in enumerate((180, 102))]
    galleries = [np.arange(102), np.arange(90)[::-1]]
    results = [
        score_galleries(*(torch.tensor(side).to(device) for side in features), galleries, *people, depth=9)
        for device in ("cpu", "cuda")
    ]
    for one, other in zip(*(result.metrics for result in results), strict=True):
        assert_same(one, other, 1e-12)
    np.testing.assert_array_equal(results[0].columns, results[1].columns)


def test_the_arguments_are_left_as_they_were():
    arguments = parity_example()
    copies = [argument.copy() for argument in arguments]
    rank_metrics(*arguments)
    for argument, copy in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(argument, copy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), [1], [1, 2, 3], None, None, "regdb"), r"similarity must be \[queries, gallery\]"),
        ((np.zeros((0, 3)), [], [1, 2, 3], None, None, "regdb"), "neither empty"),
        ((np.zeros((1, 3)), [1, 2], [1, 2, 3], None, None, "regdb"), r"query_ids must be \[1\]"),
        ((np.zeros((1, 3)), [1], [1, 2], None, None, "regdb"), r"gallery_ids must be \[3\]"),
        ((np.zeros((1, 2)), [1], [1, 2], None, [1, 2], "sysu"), "query_cams is missing"),
        ((np.zeros((1, 2)), [1], [1, 2], [3], None, "llcm"), "gallery_cams is missing"),
        ((np.zeros((1, 2)), [1], [1, 2], [3], [1], "sysu"), r"gallery_cams must be \[2\]"),
        ((np.array([[0.0, np.nan]]), [1], [1, 2], None, None, "regdb"), "NaN in rows 0 to 0"),
        ((np.zeros((1, 2)), [7], [1, 2], None, None, "regdb"), "no valid query"),
        ((np.zeros((1, 2)), [1], [1, 2], [3], [2, 1], "sysu"), "no valid query"),
        ((np.zeros((1, 2)), [1], [1, 2], [3], [2, 1], "market"), "unknown rule 'market'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        rank_metrics(*arguments)


@pytest.mark.parametrize(
    ("queries", "candidates", "galleries", "message"),
    [
        (np.zeros((1, 2)), np.zeros((2, 3)), [[0, 1]], "features must be"),
        (np.zeros(2), np.zeros((2, 2)), [[0, 1]], "features must be"),
        (np.zeros((1, 2), np.float32), np.zeros((2, 2)), [[0, 1]], "of one type"),
        (np.zeros((1, 2)), np.zeros((2, 2)), [], "give at least one of each"),
        (np.zeros((1, 2)), np.zeros((2, 2)), [[0], []], "give at least one of each"),
        (np.zeros((0, 2)), np.zeros((2, 2)), [[0]], "give at least one of each"),
        (np.full((1, 2), np.nan), np.zeros((2, 2)), [[0, 1]], "NaN in rows 0 to 0"),
        (np.zeros((1, 2)), np.zeros((2, 2)), [[0]], "no valid query"),
    ],
)
def test_features_that_do_not_fit_are_refused(queries, candidates, galleries, message):
    with pytest.raises(ValueError, match=message):
        score_galleries(queries, candidates, galleries, [1] * len(queries), [2, 1], rule="regdb")
