from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.components.memory import batched_kmeans
from usvi_bench.components.memory.batched_kmeans import part_means

Doubles = NDArray[np.float64]


def blobs(sizes: list[int], width: int, parts: int, spread: float = 0.6, seed: int = 0) -> list[Doubles]:
    rng = np.random.default_rng(seed)
    made = []
    for size in sizes:
        centres = rng.normal(size=(parts, width))
        made.append(3 + centres[np.arange(size) % parts] + spread * rng.normal(size=(size, width)))
    return made


def run(sets: list[Doubles], count: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Split sets whose points lie in a shuffled order."""
    points = torch.from_numpy(np.concatenate(sets)).to(dtype)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(9))
    shuffled = torch.empty_like(points)
    shuffled[order] = points
    return part_means(shuffled, order, [len(rows) for rows in sets], count, torch.Generator().manual_seed(seed))


def lloyd(points: Doubles, centres: Doubles) -> tuple[float, Doubles, NDArray[np.int64]]:
    """Iterate the definition: nearest centre of every point, then the mean of every part."""
    while True:
        part = np.array([min(range(len(centres)), key=lambda k: np.square(x - centres[k]).sum()) for x in points])
        moved = np.array([points[part == k].mean(0) if (part == k).any() else c for k, c in enumerate(centres)])
        if np.array_equal(moved, centres):
            return sum(np.square(x - centres[k]).sum() for x, k in zip(points, part, strict=True)), centres, part
        centres = moved


def starting_points(points: Doubles, draws: Doubles) -> Doubles:
    """Choose starting points one by one, each the best of several candidates, from uniform draws ``[S, L]``."""
    chosen = [points[int(draws[0, 0] * len(points))]]
    for uniform in draws[1:]:
        closest = np.array([min(np.square(x - c).sum() for c in chosen) for x in points])
        candidates = [points[np.flatnonzero(closest.cumsum() > u * closest.sum())[0]] for u in uniform]
        left = [np.minimum(closest, np.square(points - c).sum(1)).sum() for c in candidates]
        chosen.append(candidates[int(np.argmin(left))])
    return np.array(chosen)


def naive(sets: list[Doubles], count: int, seed: int = 0) -> Doubles:
    trials = 2 + int(np.log(count))
    shape = (len(sets), batched_kmeans.RESTARTS, count, trials)
    draws = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
    means = np.zeros((len(sets), count, sets[0].shape[1]))
    for c, points in enumerate(sets):
        if len(points) > count:
            results = [lloyd(points, starting_points(points, draw)) for draw in draws[c]]
            _, centres, part = min(results, key=lambda result: result[0])
            if len(np.unique(part)) == count:
                means[c] = centres - points.mean(0)
    return means


@pytest.mark.parametrize(("width", "count"), [(40, 3), (5, 4), (6, 1), (16, 9)])
def test_it_is_lloyds_algorithm_from_greedy_starting_points(width: int, count: int) -> None:
    """Sets are larger or smaller than the number of coordinates, or too small to split."""
    sets = blobs([30, 7, 12, 2, 19, 9], width, max(count, 2))
    found, expected = run(sets, count).numpy(), naive(sets, count)
    for rows, others in zip(found, expected, strict=True):  # equal restarts may number parts differently
        np.testing.assert_allclose(rows[rows[:, 0].argsort()], others[others[:, 0].argsort()], atol=1e-12)
    assert [bool(rows.any()) for rows in expected] == [size > count > 1 for size in map(len, sets)]


def test_neither_batches_nor_checks_nor_threads_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = blobs([25, 40, 31, 18, 60], 24, 5)
    expected = run(sets, 5)
    torch.testing.assert_close(run(sets[:1], 5)[0], expected[0], atol=1e-12, rtol=0)  # another padding
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if threads == 1 else 1)
    single = run(sets, 5, dtype=torch.float32)
    torch.set_num_threads(threads)
    assert torch.equal(single, run(sets, 5, dtype=torch.float32))
    monkeypatch.setattr(batched_kmeans, "_SETS", 2)
    for every in (1, 7):
        monkeypatch.setattr(batched_kmeans, "CHECK_EVERY", every)
        torch.testing.assert_close(run(sets, 5), expected, atol=1e-12, rtol=0)


def test_the_number_of_iterations_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = blobs([200], 8, 2, spread=2.0)
    full = run(sets, 6)
    monkeypatch.setattr(batched_kmeans, "ITERATIONS", 1)
    assert not torch.allclose(run(sets, 6), full)


def inertia(points: Doubles, offsets: Doubles) -> float:
    centres = points.mean(0) + offsets
    return float(np.square(points[:, None] - centres[None]).sum(2).min(1).sum())


def test_inertia_is_no_worse_than_scikit_learns_over_seeds() -> None:
    from sklearn.cluster import KMeans

    sets = blobs([60, 45, 30], 32, 12, spread=1.0)
    seeds = range(4)
    ours = [inertia(rows, found) for s in seeds for rows, found in zip(sets, run(sets, 7, s).numpy(), strict=True)]
    theirs = [KMeans(7, n_init=10, random_state=s).fit(rows).inertia_ for s in seeds for rows in sets]
    assert np.mean(ours) <= 1.002 * np.mean(theirs)
    assert np.std(ours) > 0  # the seeds draw other starting points


@pytest.mark.parametrize(("value", "width"), [(1.0, 3), (0.1, 3), (0.1, 30)])
def test_sets_with_fewer_distinct_points_than_parts_are_not_split(value: float, width: int) -> None:
    same, two = np.full((7, width), value), np.repeat(np.random.default_rng(0).normal(size=(2, width)), 4, axis=0)
    assert not run([same, two], 3, dtype=torch.float32).any()
