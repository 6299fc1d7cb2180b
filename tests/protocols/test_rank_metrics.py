from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from protocols import metrics
from protocols.metrics import rank_metrics, top_ranked

RULES = ("sysu", "regdb", "llcm")


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


def figures(result):
    return [*(result.rank(k) for k in (1, 5, 10, 20)), result.mAP, result.mINP]


def test_all_search_equals_the_agw_code():
    result = rank_metrics(*parity_example())
    assert figures(result) == pytest.approx([0.444444, 0.855556, 0.938889, 1.0, 0.392487, 0.188840], abs=1e-6)
    assert result.num_valid == 180
    assert len(result.cmc) == 30


def test_indoor_search_equals_the_agw_code():
    similarity, query_ids, gallery_ids, query_cams, gallery_cams = parity_example()
    indoor = np.isin(gallery_cams, (1, 2))
    assert indoor.sum() == 42
    result = rank_metrics(similarity[:, indoor], query_ids, gallery_ids[indoor], query_cams, gallery_cams[indoor])
    assert figures(result) == pytest.approx([0.418440, 0.851064, 0.929078, 1.0, 0.556730, 0.523347], abs=1e-6)
    assert result.num_valid == 180 - 39
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
        generator.integers(0, 4, shape) / 4 if ties else generator.permutation(queries * gallery).reshape(shape)
    )
    return (
        similarity.astype(np.float64),
        generator.integers(0, people, queries),
        generator.integers(0, people, gallery),
        generator.choice([1, 2, 3, 6], queries),
        generator.choice([1, 2, 3, 4, 5], gallery),
        draw(st.sampled_from(RULES)),
    )


@settings(max_examples=150, deadline=None)
@given(case=retrievals(ties=False) | retrievals(ties=True), block=st.sampled_from([1, 20, 1_000_000]))
def test_it_equals_the_naive_loop(case, block):
    curve, precisions, penalties, ranked = naive(*(v.tolist() if isinstance(v, np.ndarray) else v for v in case))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "BLOCK", block)
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
    assert result.num_valid == len(penalties)
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
    assert figures(first) == figures(second)
    np.testing.assert_array_equal(first.average_precision, second.average_precision)


def test_equal_similarities_keep_the_order_of_the_gallery():
    gallery_ids = np.arange(200) % 50
    result = rank_metrics(np.zeros((50, 200)), np.arange(50), gallery_ids, rule="regdb")
    np.testing.assert_allclose(result.cmc[:50], np.arange(1, 51) / 50)
    assert top_ranked(np.zeros((1, 200)), [0], gallery_ids, rule="regdb", depth=200)[0].tolist() == list(range(200))


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
