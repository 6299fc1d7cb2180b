"""Re-ranking: values of the public code, the dense definition, and memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from usvi_bench.components.clustering.reranking import reranked_distance
from usvi_bench.core.process_memory import peak_rise
from usvi_bench.protocols.rules import rank_metrics

Array = NDArray[np.float64]


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def scene() -> tuple[Array, Array]:
    """30 people with three queries and four gallery images each."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(30, 16))
    gallery = centres[np.repeat(np.arange(30), 4)] + 0.9 * rng.normal(size=(120, 16))
    return unit(centres[np.repeat(np.arange(30), 3)] + 0.9 * rng.normal(size=(90, 16))), unit(gallery)


def distances(first: Array, second: Array) -> Array:
    return np.linalg.norm(first[:, None] - second[None], axis=2)


def naive(given: Array, queries: int, k1: int, k2: int, weight: float) -> Array:
    """Follow the definition, from a dense matrix of distances ``[N, N]``, which is squared."""
    count = len(given)
    relative = np.array([[value**2 / max((row**2).max(), 1e-12) for value in row] for row in given])
    order = [sorted(range(count), key=lambda j, i=i: (j != i, relative[i, j])) for i in range(count)]

    def mutual(i: int, k: int) -> set[int]:
        return {j for j in order[i][: k + 1] if i in order[j][: k + 1]}

    codes = np.zeros((count, count))
    for i in range(count):
        members = set(own := mutual(i, k1))
        for j in own:
            other = mutual(j, round(k1 / 2))
            if len(other & own) > 2 / 3 * len(other):
                members |= other
        for j in members:
            codes[i, j] = np.exp(-relative[i, j])
        codes[i] /= codes[i].sum()
    codes = np.array([np.mean([codes[j] for j in order[i][: min(k2, k1 + 1)]], axis=0) for i in range(count)])
    found = np.empty((queries, count - queries))
    for i in range(queries):
        for j in range(queries, count):
            shared = np.minimum(codes[i], codes[j]).sum()
            found[i, j - queries] = (1 - weight) * (1 - shared / (2 - shared)) + weight * relative[i, j]
    return found


def sparse(queries: Array, gallery: Array, *options: float) -> NDArray[np.float32]:
    return torch.cat([block for _, block in reranked_distance(*map(np.float32, (queries, gallery)), *options)]).numpy()


def figures(distance: Array) -> list[float]:
    found = rank_metrics(-distance, np.repeat(np.arange(30), 3), np.repeat(np.arange(30), 4), rule="regdb")
    return [found.rank(1), found.rank(5), found.mAP, found.mINP]


EUCLIDEAN = [0.733333, 0.900000, 0.703281, 0.529154]


def test_values_of_the_public_code() -> None:
    queries, gallery = scene()
    assert figures(distances(queries, gallery)) == pytest.approx([0.711111, 0.933333, 0.607925, 0.380223], abs=1e-6)
    found = sparse(queries, gallery)
    assert figures(found) == pytest.approx(EUCLIDEAN, abs=1e-6)
    assert found.mean(dtype=float) == pytest.approx(0.802461, abs=1e-6)
    assert found[0, :4] == pytest.approx([0.805816, 0.477086, 0.564390, 0.463026], abs=2e-6)
    fewer = sparse(queries, gallery, 10, 1)
    assert figures(fewer) == pytest.approx([0.733333, 0.888889, 0.682918, 0.501842], abs=1e-6)
    plain = sparse(queries, gallery, 20, 6, 1.0)
    assert figures(plain) == pytest.approx(figures(distances(queries, gallery)), abs=1e-6)


def test_the_dense_definition_has_the_values_of_the_public_code() -> None:
    """Distances that are squared already are squared again, which gives other numbers."""
    every = np.concatenate(scene())
    plain = distances(every, every)
    found = naive(plain, 90, 20, 6, 0.3)
    assert figures(found) == pytest.approx(EUCLIDEAN, abs=1e-6)
    np.testing.assert_allclose(sparse(*scene()), found, atol=2e-6)
    twice = naive(plain**2, 90, 20, 6, 0.3)
    assert figures(twice) == pytest.approx([0.733333, 0.900000, 0.702238, 0.533884], abs=1e-6)
    assert twice.mean() == pytest.approx(0.737529, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 14), st.integers(1, 14), st.integers(1, 12), st.sampled_from([1, 2, 6]))
def test_equals_the_dense_definition(seed: int, queries: int, gallery: int, k1: int, k2: int) -> None:
    rng = np.random.default_rng(seed)
    every = unit(
        rng.normal(size=(4, 6))[rng.integers(0, 4, queries + gallery)] + rng.normal(size=(queries + gallery, 6))
    )
    expected = naive(distances(every, every), queries, k1, k2, 0.3)
    found = sparse(every[:queries], every[queries:], k1, k2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_equal_images_have_distance_zero() -> None:
    same = np.ones((6, 4)) / 2
    assert sparse(same[:3], same[3:]) == pytest.approx(np.zeros((3, 3)), abs=1e-6)


@pytest.mark.parametrize("options", [(0, 6), (20, 0), (20, 6, 1.5)])
def test_options_out_of_range_are_refused(options: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="choose"):
        sparse(*scene(), *options)


def test_memory_grows_with_images_and_not_with_pairs() -> None:
    rng = np.random.default_rng(0)
    every = unit(rng.normal(size=(2000, 8))[np.arange(20_000) % 2000] + 0.3 * rng.normal(size=(20_000, 8)))
    queries, gallery = np.float32(every[:1000]), np.float32(every[1000:])
    sparse(queries[:30], gallery[:30])  # compiles
    with peak_rise(torch.device("cpu")) as rise:
        total = sum(float(block.sum()) for _, block in reranked_distance(queries, gallery))
    assert 0 < total < queries.shape[0] * gallery.shape[0]
    assert not rise or rise[0] < 600  # a dense matrix of all pairs has 1,526 MiB
