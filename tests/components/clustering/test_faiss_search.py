"""Searches by faiss; classes of a CPU stand in for those of a GPU, in the same code."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from usvi_bench.components.clustering import graph_search as graph
from usvi_bench.components.clustering.faiss_search import add, flat_index, flat_search, on_gpu, owners_first, query
from usvi_bench.components.clustering.graph_search import graph_index, graph_search
from usvi_bench.components.clustering.neighbours import nearest
from usvi_bench.core.measuring import collect_metrics

faiss = pytest.importorskip("faiss")


def people(n: int, d: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n // 25, d))
    x = centres[np.arange(n) % len(centres)] + 0.5 * rng.normal(size=(n, d))
    return torch.from_numpy(np.float32(x / np.linalg.norm(x, axis=1, keepdims=True)))


def hnsw(dimension: int, device: torch.device) -> Any:
    return faiss.IndexHNSWFlat(dimension, 16)


def test_lists_are_those_of_our_exact_search_up_to_ties() -> None:
    x = people(1500, 48)
    distances, rows = nearest(x, 30, "exact")
    found_distances, found = flat_search(x, 30)
    torch.testing.assert_close(found_distances, distances, atol=1e-5, rtol=0)
    differing = found != rows
    gap = (found_distances - distances).abs()[differing]
    assert differing.float().mean() < 1e-3
    assert not len(gap) or gap.max() < 1e-6


def test_the_graph_reaches_the_recall_that_it_records() -> None:
    x = people(2000, 24)
    rows = nearest(x, 20, "exact")[1]
    with collect_metrics() as figures:
        distances, found = graph_search(x, 20, flat_search, hnsw)
    recall = (rows[:, :, None] == found[:, None]).any(2).float().mean()
    assert figures["recall"] >= 0.96
    assert float(recall) == pytest.approx(figures["recall"], abs=0.02)
    assert torch.equal(found[:, 0], torch.arange(2000))
    torch.testing.assert_close(distances, (x[:, None] - x[found]).square().sum(2), atol=1e-6, rtol=0)
    assert (distances.diff(dim=1) >= 0).all()


def test_more_candidates_are_kept_until_the_recall_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1500, 64, generator=torch.Generator().manual_seed(0))
    recalls = []
    for narrow, wide in ((4, 4), (4, 512)):
        monkeypatch.setattr(graph, "_NARROW", narrow)
        monkeypatch.setattr(graph, "_WIDE", wide)
        with collect_metrics() as figures:
            graph_search(x, 3, flat_search, lambda d, _: faiss.IndexHNSWFlat(d, 4))
        recalls.append(figures["recall"])
    assert recalls[0] < 0.9 < recalls[1]


def test_rows_that_the_graph_cannot_fill_are_searched_exactly() -> None:
    class Gaps:
        """Index that finds nothing for some rows."""

        def __init__(self, dimension: int, device: torch.device) -> None:
            self.inner = hnsw(dimension, device)

        def add_c(self, *arguments: Any) -> None:
            self.inner.add_c(*arguments)

        def search_c(self, n: int, x: Any, k: int, distances: Any, rows: Any, parameters: Any) -> None:
            self.inner.search_c(n, x, k, distances, rows)
            found = faiss.rev_swig_ptr(rows, n * k).reshape(n, k)
            found[::3, -1] = -1

    x = people(1200, 24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_candidates", lambda index, width: None)
        rows = graph_search(x, 10, flat_search, Gaps)[1]
    assert torch.equal(rows[::3], nearest(x, 10, "exact")[1][::3])


def test_few_rows_and_long_lists_are_searched_exactly() -> None:
    x = people(1100, 8)
    for rows, k in ((x[:50], 5), (x, 300)):
        with collect_metrics() as figures:
            found = graph_search(rows, k, flat_search, lambda *_: pytest.fail("no graph is needed"))[1]
        assert figures["recall"] == 1
        assert torch.equal(found[:, :9], nearest(rows, k, "exact")[1][:, :9])


def test_a_gpu_gets_its_own_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes exist only in faiss for GPUs; here indexes of a CPU take their place."""
    asked: list[Any] = []

    def flat(resources: Any, dimension: int, config: Any) -> Any:
        asked.append(("flat", resources.temporary, config.device))
        return faiss.IndexFlatL2(dimension)

    def cagra(resources: Any, dimension: int, metric: int, config: Any) -> Any:
        asked.append(("cagra", metric, config.device))
        return hnsw(dimension, torch.device("cpu"))

    resources = SimpleNamespace(temporary=None)
    resources.setTempMemory = lambda size: setattr(resources, "temporary", size)
    fakes = {"StandardGpuResources": lambda: resources, "GpuIndexFlatL2": flat, "GpuIndexCagra": cagra}
    for name in ("GpuIndexFlatConfig", "GpuIndexCagraConfig"):
        fakes[name] = SimpleNamespace
    for name, fake in fakes.items():
        monkeypatch.setattr(faiss, name, fake, raising=False)
    x = people(200, 8)
    index = flat_index(8, torch.device("cuda", 1))
    add(index, x)
    assert torch.equal(owners_first(*query(index, x, 5))[1], nearest(x, 5, "exact")[1])
    graph_index(8, torch.device("cuda", 1))
    assert asked == [("flat", 1 << 28, 1), ("cagra", faiss.METRIC_L2, 1)]
    assert not on_gpu(x, "GpuIndexFlatL2"), "the vectors are on a CPU"
