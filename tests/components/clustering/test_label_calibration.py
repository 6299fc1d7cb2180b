from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.clustering.dbscan import centroids, cluster_means
from usvi_bench.components.clustering.label_calibration import calibrate_labels, dense_prototypes, with_emptied


def released_case() -> tuple[Tensor, Tensor]:
    g = np.random.default_rng(11)
    rows = g.standard_normal((5, 16))[np.arange(60) % 5] + 1.2 * g.standard_normal((60, 16))
    labels = torch.arange(60) % 5
    labels[::7] = (labels[::7] + 1) % 5
    labels[3] = labels[33] = -1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy((0.95 * unit).astype(np.float32)), labels


CHANGES = {0: 0, 7: 2, 14: 4, 21: 1, 28: 3, 35: 0, 40: 4, 42: 2, 49: 4, 56: 1}
"""Images that get another cluster, and which."""


@pytest.mark.parametrize(
    ("members", "norms", "first", "total", "more"),
    [
        (
            20,
            [0.548748, 0.554081, 0.489525, 0.427445, 0.556992],
            [0.017384, 0.166610, 0.169639, -0.077460],
            0.589453,
            {},
        ),
        (
            5,
            [0.738783, 0.762285, 0.713741, 0.728336, 0.734695],
            [0.089108, 0.281034, 0.215142, -0.150644],
            1.159704,
            {13: 1, 43: 1, 46: 2},
        ),
    ],
)
def test_prototypes_and_labels_of_the_released_code(
    members: int, norms: list[float], first: list[float], total: float, more: dict[int, int]
) -> None:
    """XiangboYin/RPNR @6647f21, which breaks ties by position."""
    features, labels = released_case()
    assert labels[labels >= 0].bincount().tolist() == [12, 12, 12, 11, 11]
    prototypes = dense_prototypes(features, labels, members, ties="position")
    assert prototypes.norm(dim=1).tolist() == pytest.approx(norms, rel=2e-6)
    assert prototypes[0, :4].tolist() == pytest.approx(first, rel=2e-6, abs=6e-7)
    assert float(prototypes.sum()) == pytest.approx(total, rel=3e-6)
    found = calibrate_labels(features, labels, members, ties="position")
    changed = {int(i): int(found[i]) for i in (found != labels).nonzero()}
    assert changed == CHANGES | more
    if members == 20:  # all members: the centroid
        torch.testing.assert_close(normalize(prototypes), centroids(features, labels))
        torch.testing.assert_close(prototypes, cluster_means(features, labels))


@pytest.mark.parametrize(
    ("cluster", "densities", "densest"),
    [
        (0, [-2, -6, -8, -8, 0, -4, -8, -10, -4, -8, -6, -8], [20, 5, 25, 45, 10]),
        (1, [-10, 2, -4, -2, -2, -2, -8, -10, -6, -6, -10, -6], [1, 11, 16, 26, 6]),
    ],
)
def test_densities_of_the_released_code(cluster: int, densities: list[int], densest: list[int]) -> None:
    features, labels = released_case()
    own = (labels == cluster).nonzero().squeeze(1)
    found = [sum(np.sign(float(a @ b) / 0.95**2 - 0.5) for b in features[own]) for a in features[own]]
    assert found == densities
    for count in range(1, 6):
        chosen = dense_prototypes(features, labels, count, ties="position")[cluster]
        torch.testing.assert_close(chosen, features[densest[:count]].mean(0))


def naive(features: Tensor, labels: Tensor, members: int, threshold: float) -> Tensor:
    unit = torch.stack([row / row.norm() for row in features.double()])
    prototypes = []
    for k in range(int(labels.max()) + 1):
        own = [i for i in range(len(labels)) if labels[i] == k]

        def place(i: int, own: list[int] = own) -> tuple[float, float]:
            cosines = [float(unit[i] @ unit[j]) for j in own]
            return sum(float(np.sign(cosine - threshold)) for cosine in cosines), sum(cosines)

        prototypes.append(features[sorted(own, key=place, reverse=True)[:members]].double().mean(0))
    nearest = [max(range(len(prototypes)), key=lambda k: float(u @ normalize(prototypes[k], dim=0))) for u in unit]
    return torch.tensor([k if y >= 0 else -1 for k, y in zip(nearest, labels.tolist(), strict=True)])


@pytest.mark.parametrize("members", [1, 3, 4])
@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_labels_are_those_of_the_loop(members: int, threshold: float) -> None:
    features, labels = released_case()
    found = calibrate_labels(features, labels, members, threshold)
    assert torch.equal(found, naive(features, labels, members, threshold))


def test_of_equally_dense_images_the_more_similar_one_is_chosen() -> None:
    angles = torch.tensor([0.3, 0.0, -0.3])  # all pairs are near, so that all images are equally dense
    features, labels = torch.stack([angles.cos(), angles.sin()], dim=1), torch.zeros(3, dtype=torch.int64)
    assert torch.equal(dense_prototypes(features, labels, 1)[0], features[1])
    assert torch.equal(dense_prototypes(features, labels, 1, ties="position")[0], features[0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_the_order_of_images_changes_nothing(seed: int, members: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(4), torch.randint(-1, 4, (36,), generator=generator)])
    features = torch.randn(4, 6, generator=generator)[labels] + 0.4 * torch.randn(40, 6, generator=generator)
    order = torch.randperm(40, generator=generator)
    found = calibrate_labels(features, labels, members)
    assert torch.equal(calibrate_labels(features[order], labels[order], members), found[order])
    names = torch.tensor([2, 0, 3, 1, -1])  # the last is that of outliers
    assert torch.equal(calibrate_labels(features, names[labels], members), names[found])
    assert torch.equal(found < 0, labels < 0)


def test_emptied_clusters_get_their_images_back() -> None:
    features = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    raw = torch.tensor([0, 1, 2, 0, 1, 2, -1, 1, 3])
    labels = torch.tensor([0, 0, 2, 0, 2, 2, -1, 0, 2])  # nobody is left in 1 and 3
    means = cluster_means(*with_emptied(features, labels, raw))
    expected = [features[[0, 1, 3, 7]], features[[1, 4, 7]], features[[2, 4, 5, 8]], features[[8]]]
    torch.testing.assert_close(means, torch.stack([rows.mean(0) for rows in expected]))
    same = with_emptied(features, raw, raw)
    assert torch.equal(same[0], features)
    assert torch.equal(same[1], raw)
