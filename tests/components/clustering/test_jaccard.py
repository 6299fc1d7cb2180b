from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch.nn.functional import normalize

from usvi_bench.benchmarks.naive_clustering import naive_jaccard, naive_labels
from usvi_bench.components.clustering import jaccard_on_device, neighbour_lists, overlap
from usvi_bench.components.clustering.dbscan import dbscan
from usvi_bench.components.clustering.jaccard import jaccard_distance, nested_groups
from usvi_bench.components.clustering.neighbours import nearest
from usvi_bench.components.memory.hybrid import joint_centroids

Array = NDArray[np.float32]
KERNELS = (overlap._near_pairs, neighbour_lists.feed_rows, neighbour_lists.feed_columns, neighbour_lists.sort_lists)


def dense(distance: csr_array) -> Array:
    full = np.ones(distance.shape, np.float32)
    full[np.repeat(np.arange(distance.shape[0]), np.diff(distance.indptr)), distance.indices] = distance.data
    return full


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


def test_joint_centroids_of_the_public_code() -> None:
    """Those of the joint clusters above; the public ones are not normalised."""
    f, labels = torch.from_numpy(sine_features()), torch.tensor([0, 1, 2, 0] * 12)
    parts = (f[:28], labels[:28]), (f[28:], labels[28:])
    means = torch.stack([sum(part[own == k].mean(0) / 2 for part, own in parts) for k in range(3)])  # type: ignore[misc]
    assert means.norm(dim=1).tolist() == pytest.approx([0.942849, 0.949064, 0.942917], rel=2e-6)
    assert means[0, :3].tolist() == pytest.approx([0.0629, -0.1547, -0.3341], abs=5e-5)
    torch.testing.assert_close(joint_centroids(f[:28], f[28:], (labels[:28], labels[28:])), normalize(means))


def test_one_modality_changes_nothing(reference_features: Array) -> None:
    plain = jaccard_distance(reference_features, 20, 6)
    for groups in (np.zeros(120), np.ones((120, 2)), torch.full((120,), 7)):
        balanced = jaccard_distance(reference_features, 20, 6, groups)
        assert np.array_equal(dense(balanced), dense(plain))


@st.composite
def cases(draw: st.DrawFn, copies: bool = False) -> tuple[Array, int, int]:
    n = draw(st.integers(2, 48))
    k1 = draw(st.integers(1, n) | st.integers(max(1, n - 2), n))
    k2 = draw(st.sampled_from([1, 2, 3, 6, 9]))
    d, identities = draw(st.integers(2, 12)), draw(st.integers(1, 8))
    noise, seed = draw(st.sampled_from([0.05, 0.3, 0.8])), draw(st.integers(0, 10_000))
    scale = draw(st.sampled_from([0.3, 0.9, 1.0, 2.0]))
    features = np.float32(scale) * people(n, d, identities, noise, seed)
    if copies and draw(st.booleans()):  # some images are copies of others
        copied = np.random.default_rng(seed).random(n) < 0.3
        features[copied] = features[0]
    return features, k1, k2


@settings(max_examples=150, deadline=None)
@given(cases(copies=True), st.sampled_from([None, 1, 2]), st.integers(0, 100), st.sampled_from([0.2, 0.45, 0.6, 0.8]))
def test_equals_the_dense_loops(case: tuple[Array, int, int], levels: int | None, seed: int, eps: float) -> None:
    f, k1, k2 = case
    table = np.random.default_rng(seed).integers(0, 3, (len(f), 2))
    if levels == 1:
        table[:, 1] = 0
    groups = {None: None, 1: table[:, 0], 2: table}[levels]
    lists = nearest(torch.from_numpy(f), k1)[1]
    expected = naive_jaccard(f, k1, k2, groups, lists.numpy())
    found = jaccard_distance(f, k1, k2, groups)
    assert found.data.dtype == np.float32
    assert dense(found) == pytest.approx(expected, abs=2e-6)
    near = jaccard_distance(f, k1, k2, groups, max_distance=eps)
    assert np.array_equal(dbscan(near, eps), naive_labels(dense(found), eps))
    assert np.array_equal(dbscan(near, eps), dbscan(found, eps))
    for limit in (eps, 1.0):
        device = on_device(f, lists, k2, groups, limit)
        assert device.data.dtype == np.float32
        assert device.has_canonical_format
        surely = np.abs(expected - limit) > 2e-6
        assert np.where(surely, dense(device), 0) == pytest.approx(
            np.where(surely, np.where(expected <= limit, expected, 1), 0), abs=2e-6
        )


def on_device(f: Array, lists: torch.Tensor, k2: int, groups: object, max_distance: float) -> csr_array:
    place = "cuda" if torch.cuda.is_available() else "cpu"
    features, lists = torch.from_numpy(f).to(place), lists.to(place)
    averaged = lists[:, :k2] if k2 > 1 else None
    return jaccard_on_device.jaccard_on_device(features, lists, averaged, nested_groups(groups, len(f)), max_distance)


def test_blocks_change_nothing_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    f = people(300, 16, 20, 0.5, 0)
    groups = np.stack([np.arange(300) % 2, np.arange(300) % 5], 1)
    lists = nearest(torch.from_numpy(f), 20)[1]
    whole = on_device(f, lists, 6, groups, 0.7)
    monkeypatch.setattr(jaccard_on_device, "_BUDGET", 1000)
    parts = on_device(f, lists, 6, groups, 0.7)
    assert np.array_equal(whole.indices, parts.indices)
    assert np.array_equal(whole.data, parts.data)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_labels() -> None:
    f = torch.from_numpy(people(3000, 64, 120, 0.5, 0))
    for k2, groups in ((6, None), (12, np.arange(3000) % 2)):
        near = [jaccard_distance(x, 30, k2, groups, max_distance=0.6) for x in (f, f.cuda())]
        assert np.array_equal(*(dbscan(distance, 0.6) for distance in near))


def test_labels_of_hundreds_of_dense_cases() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n, k1, k2 = int(rng.integers(20, 60)), int(rng.integers(5, 20)), int(rng.integers(1, 7))
        f = people(n, 6, int(rng.integers(2, 9)), float(rng.uniform(0.1, 0.9)), seed)
        eps, least = float(rng.uniform(0.2, 0.8)), int(rng.integers(2, 6))
        near = jaccard_distance(f, k1, k2, max_distance=eps)
        expected = naive_jaccard(f, k1, k2, lists=nearest(torch.from_numpy(f), k1)[1].numpy())
        assert np.array_equal(dbscan(near, eps, least), naive_labels(expected, eps, least)), seed


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
    rows = f.astype(np.float64)
    distances = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    if np.diff(np.sort(distances, axis=1), axis=1).min() < 1e-6:  # equally near images are told apart by their order
        return
    order = np.random.default_rng(0).permutation(len(f))
    assert dense(jaccard_distance(f[order], k1, k2)) == pytest.approx(full[np.ix_(order, order)], abs=2e-6)


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
    monkeypatch.setattr(overlap, "_BLOCK_ROWS", 50)
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
    for shape in ((19,), (20, 3)):
        with pytest.raises(ValueError, match=r"groups of shape .* for 20 images"):
            jaccard_distance(f, 5, groups=np.zeros(shape))


def test_an_epoch_after_another_neither_compiles_nor_leaks() -> None:
    f = people(600, 32, 30, 0.5, 0)
    groups = np.arange(600) % 2

    def epoch(seed: int) -> None:
        moved = f + np.float32(0.01) * np.random.default_rng(seed).normal(size=f.shape).astype(np.float32)
        dbscan(jaccard_distance(moved, 20, 6, groups, max_distance=0.6), 0.6)

    def resident_mib() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    for seed in range(10):
        epoch(seed)
    compiled = [len(kernel.signatures) for kernel in KERNELS]
    before = resident_mib()
    for seed in range(100):
        epoch(seed)
    assert [len(kernel.signatures) for kernel in KERNELS] == compiled
    assert resident_mib() - before < 8
