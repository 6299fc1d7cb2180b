"""Open-set figures: values of the E1 scene, naive loops, scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from tests.protocols.test_rank_metrics import parity_example
from usvi_bench.protocols.open_set import ONE_IN, Pairs, identify, roc, threshold
from usvi_bench.protocols.rules import sysu_masks


def scene(indoor: bool) -> Pairs:
    """180 queries of 30 people; queries of camera 3 do not see camera 2."""
    similarity, query_ids, gallery_ids, query_cams, gallery_cams = parity_example()
    kept = np.isin(gallery_cams, (1, 2)) if indoor else np.ones(len(gallery_ids), bool)
    masks = sysu_masks(query_ids, gallery_ids[kept], query_cams, gallery_cams[kept])
    return Pairs(similarity[:, kept], masks.positives, ~masks.ignored)


SCENES = [
    (False, 546, 15_834, (1.272679, 2.293936, 2.988248), (0.586081, 0.216117, 0.060440)),
    (True, 186, 5_394, (1.255948, 2.309178, 3.017721), (0.655914, 0.263441, 0.069892)),
]


@pytest.mark.parametrize(("indoor", "genuine", "impostors", "thresholds", "rates"), SCENES)
def test_verification_of_the_known_scene(
    indoor: bool, genuine: int, impostors: int, thresholds: tuple[float, ...], rates: tuple[float, ...]
) -> None:
    pairs = scene(indoor)
    right, wrong = pairs.similarity[pairs.genuine], pairs.similarity[pairs.impostor]
    assert (len(right), len(wrong)) == (genuine, impostors)
    found = [threshold(wrong, each) or 0.0 for each in ONE_IN]
    assert found == pytest.approx(thresholds, abs=1e-6)
    assert [np.mean(right > limit) for limit in found] == pytest.approx(rates, abs=1e-6)
    assert roc(right, wrong, [1 / each for each in ONE_IN]) == pytest.approx(rates, abs=1e-6)


def test_identification_of_the_known_scene() -> None:
    found = identify(scene(indoor=True))
    assert (found.enrolled.sum(), (~found.enrolled).sum()) == (141, 39)
    unknown = found.best[~found.enrolled]
    limit = threshold(unknown, 10)
    assert limit == pytest.approx(2.372605, abs=1e-6)
    assert np.mean(unknown > limit) == pytest.approx(0.076923, abs=1e-6)
    known = found.enrolled
    assert np.mean(found.right[known] & (found.best[known] > limit)) == pytest.approx(0.290780, abs=1e-6)
    assert threshold(unknown, 100) is None


@st.composite
def retrievals(draw: st.DrawFn) -> Pairs:
    queries, gallery = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    similarity = rng.integers(0, 6, (queries, gallery)).astype(float)  # many ties
    same = rng.integers(0, 3, queries)[:, None] == rng.integers(0, 3, gallery)
    return Pairs(similarity, same, rng.random((queries, gallery)) < 0.7)


@settings(max_examples=150, deadline=None)
@given(retrievals(), st.sampled_from([1, 2, 3, 5, 10]))
def test_equals_loops_over_pairs(pairs: Pairs, one_in: int) -> None:
    shape = pairs.similarity.shape
    genuine, impostors = [], []
    for q in range(shape[0]):
        own, enrolled, best, right = [], False, -np.inf, False
        for g in range(shape[1]):
            if not pairs.seen[q, g]:
                continue
            (genuine if pairs.same[q, g] else impostors).append(value := pairs.similarity[q, g])
            own.append(value)
            enrolled |= bool(pairs.same[q, g])
            if value > best:
                best, right = value, bool(pairs.same[q, g])
        found = identify(pairs)
        assert (found.enrolled[q], found.best[q], found.right[q]) == (enrolled, best, right)
    assert sorted(pairs.similarity[pairs.genuine]) == sorted(genuine)
    limit = threshold(pairs.similarity[pairs.impostor], one_in)
    if len(impostors) < one_in:
        assert limit is None
    elif one_in > 1:
        assert limit == sorted(impostors, reverse=True)[len(impostors) // one_in]
        assert sum(value > limit for value in impostors) * one_in <= len(impostors)
        lower = [value for value in impostors if value < limit]  # no lower threshold keeps the rate
        assert not lower or sum(value > max(lower) for value in impostors) * one_in > len(impostors)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([3, 1000]))
def test_roc_is_that_of_scikit_learn(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    right, wrong = rng.integers(0, levels, 40) + levels // 3, rng.integers(0, levels, 90)
    labels = np.repeat([1, 0], [len(right), len(wrong)])
    far, tar, _ = roc_curve(labels, np.concatenate([right, wrong]), drop_intermediate=False)
    rates = [0.0, 0.01, 0.1, 0.25, 0.5, 0.9]
    best = [tar[far <= rate + 1e-12].max() for rate in rates]
    assert roc(right.astype(float), wrong.astype(float), rates) == pytest.approx(best)


def test_images_can_be_removed_from_the_gallery() -> None:
    pairs = Pairs(np.array([[3.0, 2.0]]), np.array([[True, False]]), np.ones((1, 2), bool))
    less = identify(pairs.without(np.array([True, False])))
    assert (less.enrolled[0], less.best[0], less.right[0]) == (False, 2.0, False)
