from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from usvi_bench.components.clustering import overlap
from usvi_bench.components.clustering.overlap import near_pairs

Array = NDArray[np.float32]


def codes(n: int, width: int, density: float, skew: float, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    values = rng.random((n, width)) ** skew * (rng.random((n, width)) < density)
    values[:, 0] += 1e-3  # no row is empty
    return np.float32(values / values.sum(1, keepdims=True))


def dense_distance(rows: Array) -> Array:
    """Compute the definition: add the smaller entries one by one, in ascending column and in float32."""
    shared = np.stack([np.minimum(row, rows).cumsum(1)[:, -1] for row in rows])
    return np.maximum(1 - shared / (2 - shared), 0)


def dense(distance: csr_array) -> Array:
    full = np.ones(distance.shape, np.float32)
    full[np.repeat(np.arange(distance.shape[0]), np.diff(distance.indptr)), distance.indices] = distance.data
    return full


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 60),
    width=st.integers(1, 40),
    density=st.sampled_from([0.05, 0.3, 1.0]),
    skew=st.sampled_from([0.0, 1.0, 8.0]),
    seed=st.integers(0, 10_000),
    limit=st.sampled_from([0.05, 0.3, 0.45, 0.6, 0.9, 1.0]),
    block=st.sampled_from([1, 7, 1024]),
)
def test_it_is_the_dense_distance_bit_for_bit_where_that_is_near(
    n: int, width: int, density: float, skew: float, seed: int, limit: float, block: int
) -> None:
    rows = codes(n, width, density, skew, seed)
    expected = dense_distance(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "_BLOCK_ROWS", block)
        found = near_pairs(csr_array(rows), limit)
    near = (expected <= np.float32(limit)) & (expected < 1)
    assert found.nnz == near.sum()
    assert np.array_equal(dense(found), np.where(near, expected, 1))
    assert found.has_canonical_format


@pytest.mark.parametrize("entries", [200, 3200])
def test_no_pair_at_the_very_limit_is_lost_in_long_codes(entries: int) -> None:
    """Sums of thousands of small float32 entries are off by more than 1e-5."""
    rng = np.random.default_rng(0)
    for share in rng.uniform(0.2, 0.6, 4):
        for step in np.linspace(-3e-4, 3e-4, 21):
            few = share / 3 * (1 + step)
            pair = np.zeros((2, entries + 400))
            pair[:, 1 : entries + 1] = share / entries
            pair[0, 0], pair[1, 0] = max((1 - share) / 3, few), few
            pair[0, entries + 1 : entries + 3] = (1 - share - pair[0, 0]) / 2
            pair[1, entries + 3 :] = (1 - share - few) / 397
            rows = np.float32(pair)
            limit = float(dense_distance(rows)[0, 1])
            assert dense(near_pairs(csr_array(rows), limit))[0, 1] == np.float32(limit)


def test_the_codes_are_left_as_they_were() -> None:
    rows = csr_array((np.float32([1, 0, 1]), ([0, 0, 1], [0, 1, 1])), shape=(2, 2))
    near_pairs(rows, 0.5)
    assert rows.nnz == 3


def test_the_order_of_a_rows_entries_does_not_matter() -> None:
    rows = codes(40, 40, 0.4, 2.0, 0)
    ordered = csr_array(rows)
    shuffled = ordered.copy()
    for a, b in zip(ordered.indptr[:-1], ordered.indptr[1:], strict=True):
        shuffled.indices[a:b], shuffled.data[a:b] = ordered.indices[a:b][::-1], ordered.data[a:b][::-1]
    shuffled.has_sorted_indices = False
    assert np.array_equal(dense(near_pairs(shuffled, 0.7)), dense(near_pairs(ordered, 0.7)))


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "_BLOCK_ROWS", 50)
    rows = csr_array(codes(400, 200, 0.1, 4.0, 0))
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(near_pairs(rows, 0.8))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for part in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(found[0], part), getattr(other, part))
