from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from usvi_bench.components.clustering import approximate_search, neighbours, symmetric_search
from usvi_bench.components.clustering.neighbours import Search, blocked_search, nearest
from usvi_bench.core.errors import UsageError
from usvi_bench.core.measuring import collect_metrics

Find = Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


def symmetric(x: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    return nearest(x, k, "exact")


def on_gpu(x: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    distances, rows = nearest(x.cuda(), k)
    assert distances.is_cuda
    assert rows.is_cuda
    return distances.cpu(), rows.cpu()


def by_faiss(x: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    pytest.importorskip("faiss")
    return nearest(x, k, "faiss")


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
EXACT = [
    pytest.param(symmetric, id="symmetric"),
    pytest.param(blocked_search, id="blocked"),
    pytest.param(by_faiss, id="faiss"),
    pytest.param(on_gpu, id="gpu", marks=GPU),
]


@pytest.fixture(params=EXACT)
def find(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Find:
    monkeypatch.setattr(neighbours, "_BLOCK_ENTRIES", 1000)  # several blocks each
    monkeypatch.setattr(symmetric_search, "BLOCK", 37)
    return request.param  # type: ignore[no-any-return]


def features(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


@pytest.mark.parametrize(
    ("n", "d", "k"), [(1, 3, 1), (30, 4, 30), (38, 5, 3), (150, 16, 7), (301, 33, 20), (301, 33, 4)]
)
def test_equals_a_full_sort(find: Find, n: int, d: int, k: int) -> None:
    x = features(n, d)
    full = (x.double()[:, None] - x.double()[None]).square().sum(2)
    distances, rows = find(x, k)
    assert rows.dtype == torch.int64
    assert distances.dtype == torch.float32
    assert torch.equal(rows, full.argsort(1)[:, :k])
    assert torch.allclose(distances.double(), full.sort(1).values[:, :k], atol=1e-4)


def test_an_image_is_first_in_its_own_list_among_many_duplicates(find: Find) -> None:
    x = torch.cat([features(1, 8).repeat(50, 1), features(20, 8, seed=1)])
    distances, rows = find(x, 10)
    assert torch.equal(rows[:, 0], torch.arange(70))
    assert (rows[:50] < 50).all()
    assert all(len(set(row)) == 10 for row in rows.tolist())
    assert (distances.diff(dim=1) >= 0).all()
    assert (distances[:, 0] == 0).all()


def test_copies_in_other_blocks_do_not_push_an_image_out_of_its_own_list() -> None:
    """Products of a diagonal block may round differently from those of earlier blocks."""
    n = symmetric_search.BLOCK + 300
    x = features(n, 64, seed=3)
    copies = torch.cat([torch.arange(60), torch.arange(n - 20, n)])
    x[copies] = x[0].clone()
    rows = nearest(x, 30, "exact")[1]
    assert torch.equal(rows[:, 0], torch.arange(n))
    assert torch.isin(rows[copies], copies).all()


def test_features_are_left_as_they_were(find: Find) -> None:
    x = features(40, 8)
    before = x.clone()
    find(x, 5)
    assert torch.equal(x, before)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    levels=st.integers(1, 3),
    block=st.integers(1, 30),
    threads=st.integers(1, 4),
    data=st.data(),
)
def test_ties_go_by_row_whatever_the_blocks_and_threads(
    n: int, levels: int, block: int, threads: int, data: st.DataObject
) -> None:
    """On a grid, distances are exact and many are equal."""
    k = data.draw(st.integers(1, n))
    x = np.random.default_rng(n).integers(0, levels, (n, 3)).astype(np.float32)
    full = np.square(x[:, None] - x[None]).sum(2)
    full[np.arange(n), np.arange(n)] = -1
    expected = np.argsort(full, axis=1, kind="stable")[:, :k]
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(symmetric_search, "BLOCK", block)
        try:
            torch.set_num_threads(threads)
            distances, rows = symmetric_search.symmetric_search(x, k)
        finally:
            torch.set_num_threads(before)
    assert np.array_equal(rows, expected)
    assert np.array_equal(distances, np.maximum(np.take_along_axis(full, expected, 1), 0))


def people(n: int, d: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n // 25, d))
    x = centres[np.arange(n) % len(centres)] + 0.5 * rng.normal(size=(n, d))
    return torch.from_numpy(np.float32(x / np.linalg.norm(x, axis=1, keepdims=True)))


@pytest.mark.parametrize("dimension", [64, 37])
def test_approximate_search_reaches_its_reported_recall(dimension: int) -> None:
    pytest.importorskip("faiss")
    x = people(4000, dimension)
    distances, rows = nearest(x, 20, "exact")
    with collect_metrics() as figures:
        near, found = nearest(x, 20, "approximate")
    recall = np.mean([np.isin(true, some).mean() for true, some in zip(rows, found, strict=True)])
    assert figures["recall"] >= approximate_search.TARGET_RECALL
    assert recall == pytest.approx(figures["recall"], abs=0.02)
    assert torch.equal(found[:, 0], torch.arange(4000))
    assert all(len(set(row)) == 20 for row in found.tolist())
    exact = (x[:, None] - x[found]).square().sum(2)
    assert torch.allclose(near, exact, atol=1e-5)
    assert (near.diff(dim=1) >= 0).all()
    assert (near >= distances - 1e-5).all()


def test_approximate_search_fills_the_lists_of_a_few_images() -> None:
    pytest.importorskip("faiss")
    x = people(300, 16)
    with collect_metrics() as figures:
        assert nearest(x[:3], 2, "approximate")[1][:, 0].tolist() == [0, 1, 2]
    assert figures["recall"] == 1
    for k in (1, 30, 300):
        rows = nearest(x, k, "approximate")[1]
        assert all(len(set(row)) == k for row in rows.tolist())
        assert (rows < 300).all()


def test_where_the_lists_visited_hold_too_few_images_all_are_compared() -> None:
    pytest.importorskip("faiss")
    x = people(400, 16).numpy()
    index = approximate_search._index(x)
    index.nprobe = 1
    assert index.nlist == 10  # of about 40 images
    rows = approximate_search._search(index, x, np.arange(400), 60)[1]
    exact = nearest(torch.from_numpy(x), 60, "exact")[1].numpy()
    full = [np.array_equal(np.sort(some), np.sort(true)) for some, true in zip(rows, exact, strict=True)]
    assert np.mean(full) > 0.5
    assert all(len(set(row)) == 60 for row in rows.tolist())


def test_auto_is_exact_up_to_the_stated_number(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    x = people(1500, 16)
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 1500)
    with collect_metrics() as figures:
        nearest(x, 5)
    assert "recall" not in figures
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 1499)
    with collect_metrics() as figures:
        nearest(x, 5)
    assert figures["recall"] > 0.9
    assert figures["search_seconds"] > 0


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="k=6 neighbours of 5 images"):
        nearest(features(5, 2), 6)
    with pytest.raises(ValueError, match="k=0"):
        nearest(features(5, 2), 0)
    with pytest.raises(ValueError, match="NaN"):
        nearest(torch.full((5, 2), torch.nan), 2)
    with pytest.raises(ValueError, match="unknown search 'fast': choose one of auto, exact, faiss, approximate"):
        nearest(features(5, 2), 2, "fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"features of shape \(5,\); give \[N, D\]"):
        nearest(torch.zeros(5), 2)
    with pytest.raises(ValueError, match="lengths beyond float32"):
        nearest(1e20 * torch.rand(5, 3), 2, "exact")


@pytest.mark.parametrize("search", ["faiss", "approximate", "auto"])
def test_a_missing_faiss_is_an_error_that_names_the_extras(monkeypatch: pytest.MonkeyPatch, search: Search) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 4)
    with pytest.raises(UsageError, match=r"needs faiss.*\.\[cpu\].*\.\[gpu\].*\.\[gpu-cu12\].*method\.search=exact"):
        nearest(features(5, 2), 2, search)
    neighbours.check_search("auto")
    nearest(features(5, 2), 2, "exact")
