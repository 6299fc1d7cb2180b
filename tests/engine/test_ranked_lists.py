"""Ranked lists against a loop from their definition, and faiss against the search in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from usvi_bench.engine import ranked_lists
from usvi_bench.engine.ranked_lists import exact_lists, faiss_lists


def unit(rows: int, size: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((rows, size))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return queries, and a gallery in which every row occurs three times."""
    gallery = np.tile(unit(31, 6, 1), (3, 1))
    return np.concatenate([unit(5, 6, 0), gallery[:2]]), gallery


@pytest.mark.parametrize("top", [1, 4, 93])
@pytest.mark.parametrize("block", [1, 10, 8192])
def test_lists_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch, top: int, block: int) -> None:
    queries, gallery = scene()
    monkeypatch.setattr(ranked_lists, "ROWS", block)
    monkeypatch.setattr(ranked_lists, "QUERIES", 2)
    rows, similarity = exact_lists(queries, gallery, top)
    for query, found, values in zip(queries, rows, similarity, strict=True):
        pairs = []
        for row, other in enumerate(gallery):
            product = sum(float(a) * float(b) for a, b in zip(query, other, strict=True))
            pairs.append((-float(np.float32(product)), row))
        pairs.sort()
        assert found.tolist() == [row for _, row in pairs[:top]]
        assert values.tolist() == pytest.approx([-value for value, _ in pairs[:top]], abs=1e-7)


@pytest.mark.parametrize("top", [1, 4, 93])
def test_faiss_finds_the_same_lists(top: int) -> None:
    pytest.importorskip("faiss")
    queries, gallery = scene()
    for found, expected in zip(faiss_lists(queries, gallery, top), exact_lists(queries, gallery, top), strict=True):
        assert (found == expected).all()


def test_a_large_gallery_is_searched_by_faiss_if_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = scene()
    asked = []
    monkeypatch.setattr(ranked_lists, "FAISS_ABOVE", 92)
    monkeypatch.setattr(ranked_lists, "faiss_lists", lambda *given: asked.append(given) or exact_lists(*given))
    monkeypatch.setattr(ranked_lists, "find_spec", lambda name: None)
    ranked_lists.ranked_lists(queries, gallery, 3)
    assert not asked
    monkeypatch.setattr(ranked_lists, "find_spec", lambda name: name)
    assert ranked_lists.ranked_lists(queries, gallery, 1000)[0].shape == (7, 93)
    ranked_lists.ranked_lists(queries, gallery[:92], 3)
    assert len(asked) == 1
