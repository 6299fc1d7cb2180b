from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.components.clustering import most_similar as module
from usvi_bench.components.clustering.balanced_lists import balanced_jaccard, nearest_in_each
from usvi_bench.components.clustering.dbscan import dbscan, pseudo_labels
from usvi_bench.components.clustering.jaccard import _encode, _expand, jaccard_distance
from usvi_bench.components.clustering.jaccard_on_device import jaccard_on_device
from usvi_bench.components.clustering.overlap import near_pairs
from usvi_bench.core.errors import UsageError

Array = NDArray[np.float32]
GROUP = np.arange(120) >= 70
"""Images 0 to 69 are visible, 70 to 119 infrared."""


def people() -> Array:
    """120 images of twelve people; infrared features have an offset."""
    rng = np.random.default_rng(0)
    centres, offset, noise = rng.normal(size=(12, 16)), rng.normal(size=16), rng.normal(size=(120, 16))
    x = centres[np.arange(120) % 12] + 0.7 * noise + 1.5 * GROUP[:, None] * offset
    return np.float32(x / np.linalg.norm(x, axis=1, keepdims=True))


def full(*arguments: object, **options: object) -> Array:
    return dense(balanced_jaccard(*arguments, **options))  # type: ignore[arg-type]


def dense(distance: object) -> Array:
    stored = distance.tocoo()  # type: ignore[attr-defined]
    found = np.ones(stored.shape, np.float32)
    found[stored.coords] = stored.data
    return found


# ---- values of the released code (Terminator8758/BMIL @79cc647, utils/faiss_rerank_xmodal.py) ------------------------

VISIBLE, INFRARED = [1, 2, 12, 24, 72, 84, 96], [71, 82, 94, 10, 22, 34]
RELEASED = [
    (
        *(10, 3, 0.9172687, 0.535),
        [0.887129, 1, 0.459517, 0.315612, 0.572439, 0.446166, 0.441352],
        [1, 0.758300, 0.758007, 0.162778, 0.138261, 0.138261],
    ),
    (
        *(20, 4, 0.8510099, 0.02375),
        [0.809351, 0.958174, 0.245574, 0.301319, 0.374799, 0.330573, 0.263944],
        [0.953577, 0.675587, 0.602888, 0.159856, 0.120827, 0.120827],
    ),
    (
        *(30, 6, 0.7438053, 0.0),
        [0.654901, 0.867881, 0.110411, 0.095251, 0.391214, 0.239973, 0.281398],
        [0.876246, 0.622398, 0.559667, 0.294501, 0.234914, 0.181633],
    ),
    (
        *(10, 1, 0.9577007, 0.853472),
        [1, 1, 0.239681, 0.423632, 0.755826, 0.677198, 0.874587],
        [1, 0.959468, 0.924657, 0.595712, 0.571229, 0.593315],
    ),
]


def check(found: Array, mean: float, far: float, visible: list[float], infrared: list[float]) -> None:
    assert found.mean(dtype=np.float64) == pytest.approx(mean, abs=2e-6)
    assert (found == 1).mean() == pytest.approx(far, abs=1e-6)
    assert found[0, VISIBLE] == pytest.approx(visible, abs=2e-6)
    assert found[70, INFRARED] == pytest.approx(infrared, abs=2e-6)


def test_the_features_of_these_values() -> None:
    assert people().sum(dtype=np.float64) == pytest.approx(-25.300443, abs=1e-5)
    assert people()[0, :3] == pytest.approx([-0.037340, 0.151973, 0.134260], abs=1e-6)


@pytest.mark.parametrize(("k1", "k2", "mean", "far", "visible", "infrared"), RELEASED)
def test_distances_of_the_released_code(
    k1: int, k2: int, mean: float, far: float, visible: list[float], infrared: list[float]
) -> None:
    check(full(people(), GROUP, k1, k2), mean, far, visible, infrared)


def test_mean_distances_within_and_across_modalities() -> None:
    found = full(people(), GROUP, 10, 3)
    blocks = [found[:70, :70], found[:70, 70:], found[70:, 70:]]
    assert [block.mean(dtype=np.float64) for block in blocks] == pytest.approx([0.919036, 0.924987, 0.892194], abs=2e-6)


def test_an_odd_length_of_lists_has_the_released_halves_and_is_refused() -> None:
    """There, ``k1 = 11`` gives lists of ten images, and half lists of seven instead of six."""
    f = torch.from_numpy(people())
    similarity, rows = nearest_in_each(f, torch.from_numpy(GROUP), 5)
    order = similarity.flatten(1).argsort(dim=1, descending=True)
    lists = rows.flatten(1).gather(1, order).numpy().astype(np.int32)
    averaged = rows[:, :, :3].flatten(1).numpy().astype(np.int32)
    found = dense(near_pairs(_expand(_encode(f, lists, half=7), averaged, [GROUP.astype(np.int64)]), 1.0))
    visible = [0.890940, 1, 0.457915, 0.298915, 0.560781, 0.440081, 0.442874]
    infrared = [1, 0.757598, 0.747369, 0.143250, 0.122414, 0.122414]
    check(found, 0.9167669, 0.543056, visible, infrared)
    with pytest.raises(ValueError, match=r"k1=11, k2=3, max_distance=1.0 with 2 groups: choose k1 as a multiple of 2"):
        balanced_jaccard(people(), GROUP, 11, 3)


def test_a_short_feature_may_be_missing_from_its_own_list_as_released() -> None:
    lengths = 0.7 + 0.3 * np.random.default_rng(1).random(120)
    scaled = np.float32(people() * lengths[:, None])
    found = full(scaled, GROUP, 10, 3)
    assert found.mean(dtype=np.float64) == pytest.approx(0.9116646, abs=2e-6)
    assert found[0, [12, 24]] == pytest.approx([0, 0.200341], abs=2e-6)
    rows = nearest_in_each(torch.from_numpy(scaled), torch.from_numpy(GROUP), 5)[1]
    missing = [i for i in range(120) if i not in rows[i]]
    assert missing
    lists = merged(scaled, GROUP, 10)
    on_device = jaccard_on_device(*lists_of(scaled, lists, 3), [GROUP.astype(np.int64)], 1.0)
    assert dense(on_device) == pytest.approx(found, abs=2e-6)


LABELS = [
    (10, 3, 0.6, "33 30 10 6 9 11 10 10", 1, 7),
    (10, 3, 0.5, "23 9 20 10 10 5 9 11 9 10", 4, 9),
    (30, 6, 0.3, "16 9 19 10 10 6 5 10 10 6 10", 9, 9),
]


@pytest.mark.parametrize(("k1", "k2", "eps", "sizes", "outliers", "mixed"), LABELS)
def test_clusters_of_the_released_code(k1: int, k2: int, eps: float, sizes: str, outliers: int, mixed: int) -> None:
    f = torch.from_numpy(people())
    labels = pseudo_labels(f, eps=eps, k1=k1, k2=k2, groups=GROUP, balanced=True).numpy()
    assert np.bincount(labels[labels >= 0]).tolist() == [int(size) for size in sizes.split()]
    assert (labels < 0).sum() == outliers
    assert in_both(labels) == mixed
    if (k1, eps) == (10, 0.6):
        assert labels[:14].tolist() == [0, 0, 1, 1, 2, 1, 0, 3, 4, 5, 6, 7, 0, 0]
        assert labels[70:84].tolist() == [6, 7, 0, 0, 1, 1, 2, 1, 0, 5, 4, 5, 6, 7]


def in_both(labels: NDArray[np.int64]) -> int:
    return len(set(labels[:70][labels[:70] >= 0]) & set(labels[70:]))


def test_only_balanced_lists_make_clusters_of_both_modalities() -> None:
    plain, expanded = jaccard_distance(people(), 10, 3), jaccard_distance(people(), 10, 3, GROUP)
    assert dense(plain).mean(dtype=np.float64) == pytest.approx(0.9452314, abs=2e-6)
    assert dense(plain)[:70, 70:].mean(dtype=np.float64) == pytest.approx(0.990316, abs=2e-6)
    assert dense(expanded).mean(dtype=np.float64) == pytest.approx(0.9448504, abs=2e-6)
    for distance in (plain, expanded):
        labels = dbscan(distance, 0.6)
        assert (labels.max() + 1, in_both(labels)) == (17, 1)
    assert (dbscan(expanded, 0.6) < 0).sum() == 6


# ---- against loops ---------------------------------------------------------------------------------------------------


def merged(f: Array, group: NDArray[np.generic], k1: int) -> list[list[int]]:
    """The lists of all images, by sorting."""
    names = sorted(set(group.tolist()))
    lists = []
    for i in range(len(f)):
        similarity = f @ f[i]
        chosen = [j for name in names for j in nearest(similarity, group == name, i)[: k1 // len(names)]]
        lists.append(sorted(chosen, key=lambda j: (j != i or not unit(f), -similarity[j])))
    return lists


def unit(f: Array) -> bool:
    return bool(np.allclose(np.linalg.norm(f, axis=1), 1, atol=1e-5))


def nearest(similarity: Array, members: NDArray[np.bool_], i: int) -> list[int]:
    inside = np.flatnonzero(members).tolist()
    return sorted(inside, key=lambda j: -similarity[j] * (1 + 1e-5 * (j == i)))


def lists_of(f: Array, lists: list[list[int]], k2: int) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments of the device's kernel: features, lists, and the neighbours whose codes are averaged."""
    averaged = nearest_in_each(torch.from_numpy(f), torch.from_numpy(GROUP[: len(f)]), k2)[1].flatten(1)
    return torch.from_numpy(f), torch.tensor(lists), averaged


def naive(f: Array, group: NDArray[np.generic], k1: int, k2: int) -> Array:
    """The definition in loops, for two groups."""
    n, lists = len(f), merged(f, group, k1)
    half = [row[: k1 // 2 + 1] for row in lists]
    mutual = [{j for j in lists[i] if i in lists[j]} for i in range(n)]
    mutual_half = [{j for j in half[i] if i in half[j]} for i in range(n)]
    codes = np.zeros((n, n), np.float32)
    for i in range(n):
        members = set(mutual[i])
        for c in mutual[i]:
            if 3 * len(mutual_half[c] & mutual[i]) > 2 * len(mutual_half[c]):
                members |= mutual_half[c]
        rows = sorted(members)
        weights = np.exp(-(2 - 2 * (f[rows] @ f[i])))
        codes[i, rows] = weights / weights.sum()
    if k2 > 1:
        halves = [[nearest(f @ f[i], group == name, i)[:k2] for name in sorted(set(group.tolist()))] for i in range(n)]
        codes = np.stack([0.5 * (codes[a].mean(0) + codes[b].mean(0)) for a, b in halves])
    shared = np.minimum(codes[:, None], codes[None]).sum(2)
    return np.maximum(1 - shared / (2 - shared), 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([6, 8, 12]), st.integers(1, 3), st.integers(10, 22))
def test_equals_the_loops(seed: int, k1: int, k2: int, visible: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.permutation(32) >= visible
    x = rng.normal(size=(5, 8))[np.arange(32) % 5] + 0.6 * rng.normal(size=(32, 8)) + 0.8 * group[:, None]
    f = np.float32(x / np.linalg.norm(x, axis=1, keepdims=True))
    found = full(f, group, k1, k2)
    assert found == pytest.approx(naive(f, group, k1, k2), abs=2e-6)
    assert np.array_equal(found, found.T)
    order = rng.permutation(32)
    assert full(f[order], group[order], k1, k2) == pytest.approx(found[np.ix_(order, order)], abs=2e-6)


def test_nearest_in_each_is_a_sort_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    f = people()
    group = np.arange(120) % 3 + 4  # any numbers, any order
    similarity, rows = nearest_in_each(torch.from_numpy(f), torch.from_numpy(group), 7)
    assert rows.shape == similarity.shape == (120, 3, 7)
    for i in range(120):
        for g in range(3):
            assert rows[i, g].tolist() == nearest(f @ f[i], group == g + 4, i)[:7]
            assert similarity[i, g].numpy() == pytest.approx(f[rows[i, g]] @ f[i], abs=2e-5)
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", 1000)
    assert torch.equal(nearest_in_each(torch.from_numpy(f), torch.from_numpy(group), 7)[1], rows)


def test_an_image_comes_before_its_copies() -> None:
    f = torch.from_numpy(people()[[0] * 30 + [70] * 30])
    rows = nearest_in_each(f, torch.arange(60) >= 30, 5)[1]
    assert rows[:30, 0, 0].tolist() + rows[30:, 1, 0].tolist() == list(range(60))
    assert (balanced_jaccard(f, torch.arange(60) >= 30, 10, 3).diagonal() < 1e-6).all()


def test_a_device_gives_the_same_distance() -> None:
    f = people()
    lists = torch.tensor(merged(f, GROUP, 20))
    features, _, averaged = lists_of(f, lists.tolist(), 4)
    for limit in (1.0, 0.6):
        found = jaccard_on_device(features, lists, averaged, [GROUP.astype(np.int64)], limit)
        assert dense(found) == pytest.approx(full(f, GROUP, 20, 4, max_distance=limit), abs=2e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_labels() -> None:
    f = torch.from_numpy(people())
    near = [balanced_jaccard(x, GROUP, 20, 4, max_distance=0.6) for x in (f, f.cuda())]
    assert np.array_equal(*(dbscan(distance, 0.6) for distance in near))


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "k1", "k2", "message"),
    [
        (GROUP, 10, 6, "k1=10, k2=6, max_distance=1.0 with 2 groups"),
        (GROUP, 10, 0, "k2 from 1 to k1 / 2"),
        (np.zeros(120), 10, 3, "images of at least two groups"),
        (np.arange(120) >= 113, 16, 4, "k1=16 needs 8 images of each group, but one group has 7"),
    ],
)
def test_bad_arguments_are_named(group: NDArray[np.generic], k1: int, k2: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        balanced_jaccard(people(), group, k1, k2)
    with pytest.raises(UsageError, match=f"both: .*{message.replace('1.0', '0.6')}"):
        pseudo_labels(torch.from_numpy(people()), eps=0.6, k1=k1, k2=k2, groups=group, balanced=True, what="both")


def test_too_many_neighbours_of_a_group_are_refused() -> None:
    with pytest.raises(ValueError, match="51 neighbours of each group, but the smallest group has 50 images"):
        nearest_in_each(torch.from_numpy(people()), torch.from_numpy(GROUP), 51)
