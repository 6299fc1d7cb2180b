from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.cluster import DBSCAN

from usvi_bench.components.clustering.dbscan import centroids, dbscan, pseudo_labels
from usvi_bench.components.clustering.jaccard import jaccard_distance
from usvi_bench.core.errors import UsageError

Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def reference_features() -> Array:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 16))
    x = centres[np.arange(120) % 12] + 0.7 * rng.normal(size=(120, 16))
    return np.float32(x / np.linalg.norm(x, axis=1, keepdims=True))


def sklearn_labels(distance: Array, eps: float, min_samples: int = 4) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(distance)
    return labels


@pytest.mark.parametrize(
    ("k1", "k2", "noise", "sizes"),
    [
        (20, 6, 0, [20, 19, 20, 10, 10, 11, 10, 10, 10]),
        (30, 6, 0, [20, 30, 20, 10, 10, 20, 10]),
        (30, 1, 4, [76, 10, 20, 10]),
    ],
)
def test_cluster_sizes_of_the_public_code(
    reference_features: Array, k1: int, k2: int, noise: int, sizes: list[int]
) -> None:
    labels = dbscan(jaccard_distance(reference_features, k1, k2, max_distance=0.6), 0.6)
    counts = Counter(labels.tolist())
    assert counts.pop(-1, 0) == noise
    assert [counts[label] for label in range(len(counts))] == sizes
    assert labels.dtype == np.int64


@pytest.mark.parametrize("eps", [0.05, 0.15, 0.3, 1.0])
def test_labels_are_scikit_learns_on_random_graphs(eps: float) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 70))
        points = rng.random((n, 2)).astype(np.float32)
        full = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
        least = int(rng.integers(1, 7))
        near = full < 0.35
        row, column = np.nonzero(near)
        sparse = csr_array((full[near], (row, column)), shape=(n, n))
        expected = sklearn_labels(np.where(near, full, np.float32(9)), eps, least)
        assert np.array_equal(dbscan(sparse, eps, least), expected), seed


@pytest.mark.parametrize("right_first", [False, True])
def test_a_border_point_joins_the_smaller_label(right_first: bool) -> None:
    left, right = [0.0, 0.1, 0.2, 0.3], [2.1, 2.2, 2.3, 2.4]  # 1.2 is within 0.91 of 0.3 and 2.1 only
    points = np.array([*right, *left, 1.2] if right_first else [1.2, *left, *right])
    distance = csr_array(np.float32(np.abs(points[:, None] - points)))
    assert dbscan(distance, 0.91, 4).tolist() == ([0] * 4 + [1] * 4 + [0] if right_first else [0] * 5 + [1] * 4)


def test_no_cluster_at_all() -> None:
    empty = csr_array((5, 5), dtype=np.float32)
    assert dbscan(empty, 0.5).tolist() == [-1] * 5
    assert dbscan(empty, 0.5, min_samples=1).tolist() == [0, 1, 2, 3, 4]  # a point is its own neighbour


def test_centroids_are_unit_means_in_label_order() -> None:
    rng = np.random.default_rng(0)
    f, labels = torch.from_numpy(rng.normal(size=(50, 7))), torch.from_numpy(rng.integers(-1, 6, 50))
    rows = []
    for label in range(6):
        mean = sum(f[i] for i in range(50) if labels[i] == label) / int((labels == label).sum())
        rows.append(mean / mean.norm())
    assert torch.allclose(centroids(f, labels), torch.stack(rows))
    assert len(centroids(f, torch.full((50,), -1))) == 0


def test_pseudo_labels_are_the_two_steps(reference_features: Array) -> None:
    labels = pseudo_labels(torch.from_numpy(reference_features), eps=0.6, k1=20)
    assert labels.dtype == torch.int64
    expected = dbscan(jaccard_distance(reference_features, 20, 6), 0.6)
    assert np.array_equal(labels.numpy(), expected)


def test_wrong_arguments_of_pseudo_labels_are_named(reference_features: Array) -> None:
    f = torch.from_numpy(reference_features)
    blob = torch.ones(60, 8) + 0.1 * torch.from_numpy(np.random.default_rng(0).normal(size=(60, 8)))
    few = (
        "visible: 20 images are fewer than k1=30; lower it to about the images of a person, as --set method.k1=10, or "
        "give more images"
    )
    one = (
        "visible: 1 cluster (eps=0.6, 60 images); raise --set method.eps if most images are outliers, "
        "lower it if a cluster holds nearly all"
    )
    with pytest.raises(UsageError) as error:
        pseudo_labels(f[:20], eps=0.6, what="visible")
    assert str(error.value) == few
    with pytest.raises(UsageError) as error:
        pseudo_labels(blob, eps=0.6, what="visible")
    assert str(error.value) == one
    with pytest.raises(UsageError, match=r"images: 9 clusters \(eps=0.6, 120 images\)"):
        pseudo_labels(f, eps=0.6, k1=20, at_least=10)
    with pytest.raises(UsageError, match=r"eps=1\.2"):
        pseudo_labels(f, eps=1.2)
