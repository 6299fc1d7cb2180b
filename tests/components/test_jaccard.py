from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.cluster import DBSCAN

from components import jaccard
from components.clustering import dbscan, jaccard_distance
from components.neighbours import nearest

Array = NDArray[np.float32]


def naive_jaccard(f: Array, k1: int, k2: int, groups: NDArray[np.int64] | None = None) -> Array:
    """The definition, in dense loops; ``groups`` [N, 2]."""
    n = len(f)
    ranks = nearest(torch.from_numpy(f), k1)[1].numpy()

    def mutual(i: int, k: int) -> list[int]:
        return [j for j in ranks[i, : k + 1] if i in ranks[j, : k + 1]]

    half = int(np.around(k1 / 2))
    codes = np.zeros((n, n), np.float32)
    for i in range(n):
        first = set(mutual(i, k1))
        expanded = set(first)
        for c in first:
            candidate = mutual(c, half)
            if len(set(candidate) & first) > 2 / 3 * len(candidate):
                expanded |= set(candidate)
        members = sorted(expanded)
        logits = torch.from_numpy(-(2 - 2 * (f[members] @ f[i])))
        codes[i, members] = torch.softmax(logits, 0).numpy()
    if k2 != 1:
        codes = np.stack([expanded_code(codes, ranks[i, :k2], groups) for i in range(n)])
    overlap = np.stack([np.minimum(codes[i], codes).cumsum(1)[:, -1] for i in range(n)])  # ascending, float32
    return np.maximum(1 - overlap / (2 - overlap), 0)


def expanded_code(codes: Array, ranks: NDArray[np.int64], groups: NDArray[np.int64] | None) -> Array:
    if groups is None:
        return codes[ranks].mean(0)
    of_modalities = []
    for modality in np.unique(groups[ranks, 0]):
        inside = ranks[groups[ranks, 0] == modality]
        cameras = [codes[inside[groups[inside, 1] == c]].mean(0) for c in np.unique(groups[inside, 1])]
        of_modalities.append(np.mean(cameras, axis=0))
    return np.mean(of_modalities, axis=0)


def dense(distance: csr_array) -> Array:
    full = np.ones(distance.shape, np.float32)
    full[np.repeat(np.arange(distance.shape[0]), np.diff(distance.indptr)), distance.indices] = distance.data
    return full


def sklearn_labels(distance: Array, eps: float, min_samples: int = 4) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(distance)
    return labels


def people(n: int, d: int, identities: int, noise: float, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(identities, d))[np.arange(n) % identities] + noise * rng.normal(size=(n, d))
    return np.float32(x / np.linalg.norm(x, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def reference_features() -> Array:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 16))
    x = centres[np.arange(120) % 12] + 0.7 * rng.normal(size=(120, 16))
    return np.float32(x / np.linalg.norm(x, axis=1, keepdims=True))


def sine_features() -> Array:
    def waves(n: int, d: int, a: float, b: float) -> NDArray[np.float64]:
        i, j = np.arange(1, n + 1)[:, None], np.arange(1, d + 1)[None]
        return np.sin(a * i + b * j) + 0.25 * np.cos(0.9 * i * j)

    x = waves(4, 16, 2.1, 0.8)[np.arange(48) % 4] + 0.35 * waves(48, 16, 1.7, 2.3)
    return np.float32(x / np.linalg.norm(x, axis=1, keepdims=True))


# ---------------------------------------------------------------------------------------------------------- jaccard

PUBLIC = [  # values of the public code (yangbincv/ADCA @8d0a8cb) on reference_features
    (1.0, 20, 6, 0.877911, {1: 0.83269, 2: 0.97380, 3: 0.98458, 4: 0.99290, 12: 0.077771, 24: 0.091646}),
    (1.0, 30, 6, 0.811044, {12: 0.092156, 24: 0.095788}),
    (1.0, 30, 1, 0.846581, {12: 0.307718}),
    (0.9, 30, 6, 0.797670, {}),
]


@pytest.mark.parametrize(("scale", "k1", "k2", "mean", "row"), PUBLIC)
def test_values_of_the_public_code(
    reference_features: Array, scale: float, k1: int, k2: int, mean: float, row: dict[int, float]
) -> None:
    found = dense(jaccard_distance(np.float32(scale) * reference_features, k1, k2))
    assert found.mean(dtype=np.float64) == pytest.approx(mean, abs=2e-6)
    for column, value in row.items():
        assert found[0, column] == pytest.approx(value, abs=6e-6)
    if (k1, k2) == (20, 6):
        assert (found == 1).mean() == pytest.approx(0.02653, abs=1e-5)


def test_values_of_the_public_joint_code() -> None:
    """Modality-balanced expansion, shijiangming1/PCLHD @c1f7b24."""
    f = sine_features()
    assert f.sum() == pytest.approx(0.927837, abs=1e-5)
    alone = dense(jaccard_distance(f, 10, 3))
    assert alone.sum() == pytest.approx(1862.1358, abs=5e-3)
    assert alone[0, :9] == pytest.approx([0, 1, 1, 0.62165, 0.266641, 1, 1, 0.399574, 0.443972], abs=2e-6)
    assert dense(jaccard_distance(np.float32(0.9) * f, 10, 3)).sum() == pytest.approx(1855.7455, abs=5e-3)
    joint = dense(jaccard_distance(f, 12, 8, groups=np.arange(48) >= 28))
    assert joint.sum() == pytest.approx(1705.9360, abs=5e-3)
    assert joint[0, :9] == pytest.approx([0, 1, 1, 0.250464, 0.125623, 1, 1, 0.164127, 0.436427], abs=2e-6)
    assert joint[0, 28:34] == pytest.approx([0.607856, 1, 1, 0.605223, 0.587752, 1], abs=2e-6)
    wide, tight = (dbscan(jaccard_distance(f, 10, 3, max_distance=eps), eps) for eps in (0.6, 0.3))
    assert wide.tolist() == [0, 1, 2, 0] * 12
    assert np.array_equal(dbscan(jaccard_distance(f, 12, 8, np.arange(48) >= 28), 0.6), wide)
    assert tight[:8].tolist() == [2, 0, 1, -1, 2, 0, 1, -1]
    assert (tight.max() + 1, (tight < 0).sum()) == (5, 8)


def test_one_modality_changes_nothing(reference_features: Array) -> None:
    plain = jaccard_distance(reference_features, 20, 6)
    for groups in (np.zeros(120), np.ones((120, 2)), torch.full((120,), 7)):
        balanced = jaccard_distance(reference_features, 20, 6, groups)
        assert np.array_equal(dense(balanced), dense(plain))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, int, int]:
    n = draw(st.integers(2, 48))
    k1 = draw(st.integers(1, n) | st.integers(max(1, n - 2), n))
    k2 = draw(st.sampled_from([1, 2, 3, 6, 9]))
    d, identities = draw(st.integers(2, 12)), draw(st.integers(1, 8))
    noise, seed = draw(st.sampled_from([0.05, 0.3, 0.8])), draw(st.integers(0, 10_000))
    scale = draw(st.sampled_from([0.3, 0.9, 1.0, 2.0]))
    return np.float32(scale) * people(n, d, identities, noise, seed), k1, k2


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from([None, 1, 2]), st.integers(0, 100), st.sampled_from([0.2, 0.45, 0.6, 0.8]))
def test_equals_the_dense_loops(case: tuple[Array, int, int], levels: int | None, seed: int, eps: float) -> None:
    f, k1, k2 = case
    table = np.random.default_rng(seed).integers(0, 3, (len(f), 2))
    if levels == 1:
        table[:, 1] = 0
    groups = {None: None, 1: table[:, 0], 2: table}[levels]
    expected = naive_jaccard(f, k1, k2, None if levels is None else table)
    found = jaccard_distance(f, k1, k2, groups)
    assert found.data.dtype == np.float32
    assert dense(found) == pytest.approx(expected, abs=2e-6)
    near = jaccard_distance(f, k1, k2, groups, max_distance=eps)
    assert np.array_equal(dbscan(near, eps), sklearn_labels(dense(found), eps))
    assert np.array_equal(dbscan(near, eps), dbscan(found, eps))


def test_labels_of_hundreds_of_dense_cases() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n, k1, k2 = int(rng.integers(20, 60)), int(rng.integers(5, 20)), int(rng.integers(1, 7))
        f = people(n, 6, int(rng.integers(2, 9)), float(rng.uniform(0.1, 0.9)), seed)
        eps, least = float(rng.uniform(0.2, 0.8)), int(rng.integers(2, 6))
        near = jaccard_distance(f, k1, k2, max_distance=eps)
        assert np.array_equal(dbscan(near, eps, least), sklearn_labels(naive_jaccard(f, k1, k2), eps, least)), seed


@settings(max_examples=50, deadline=None)
@given(cases())
def test_laws(case: tuple[Array, int, int]) -> None:
    f, k1, k2 = case
    found = jaccard_distance(f, k1, k2)
    full = dense(found)
    assert np.array_equal(full, full.T)
    assert found.has_canonical_format
    assert full.min() >= 0
    assert full.max() <= 1
    assert (found.data < 1).all()
    stored = np.zeros(found.shape, bool)
    stored[np.repeat(np.arange(len(f)), np.diff(found.indptr)), found.indices] = True
    assert stored.diagonal().all()
    assert full.diagonal().max() <= 2e-6
    order = np.random.default_rng(0).permutation(len(f))
    assert dense(jaccard_distance(f[order], k1, k2)) == pytest.approx(full[np.ix_(order, order)], abs=2e-6)


def test_overlaps_add_up_exactly_as_in_a_dense_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaccard, "_BLOCK_ROWS", 7)
    codes = np.random.default_rng(0).random((60, 60), np.float32) * (np.random.default_rng(1).random((60, 60)) < 0.3)
    codes = np.float32(codes / codes.sum(1, keepdims=True))
    overlap = np.stack([np.minimum(row, codes).cumsum(1)[:, -1] for row in codes])
    expected = np.maximum(1 - overlap / (2 - overlap), 0)
    assert np.array_equal(dense(jaccard._distances(csr_array(codes), 1.0)), expected)


def test_only_near_pairs_are_stored(reference_features: Array) -> None:
    everything = jaccard_distance(reference_features, 20, 6)
    full = dense(everything)
    at = float(full[0, 1])  # a distance that occurs: the bound itself is kept
    near = jaccard_distance(reference_features, 20, 6, max_distance=at)
    assert near.nnz == (full <= np.float32(at)).sum() < everything.nnz == (full < 1).sum()
    assert np.array_equal(dense(near), np.where(full <= np.float32(at), full, 1))


def test_near_duplicates_and_exact_ones_are_one_cluster() -> None:
    f = np.repeat(people(5, 8, 5, 0.0, 0), 40, axis=0)  # 40 copies of each, more than k1
    for jitter in (0.0, 1e-4):
        moved = f + np.float32(jitter) * np.random.default_rng(0).normal(size=f.shape).astype(np.float32)
        found = jaccard_distance(moved, 45, 6, max_distance=0.6)
        assert np.array_equal(dbscan(found, 0.6), np.repeat(np.arange(5), 40))
        assert (jaccard_distance(moved, 20, 6).diagonal() <= 2e-6).all()


def test_threads_and_input_type_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaccard, "_BLOCK_ROWS", 50)
    f = people(400, 16, 30, 0.5, 0)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(jaccard_distance(torch.from_numpy(f).double(), 20, 6))
    finally:
        torch.set_num_threads(before)
    for other in (*found[1:], jaccard_distance(f, 20, 6)):
        for part in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(found[0], part), getattr(other, part))


def test_bad_arguments_are_named() -> None:
    f = people(20, 4, 4, 0.1, 0)
    with pytest.raises(ValueError, match="20 images are fewer than k1=30; lower k1 or give more images"):
        jaccard_distance(f)
    with pytest.raises(ValueError, match=r"max_distance=1\.5"):
        jaccard_distance(f, 5, max_distance=1.5)
    with pytest.raises(ValueError, match="k2=0"):
        jaccard_distance(f, 5, 0)
    with pytest.raises(ValueError, match=r"groups of shape \(19,\) for 20 images"):
        jaccard_distance(f, 5, groups=np.zeros(19))
