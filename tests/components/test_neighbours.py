from __future__ import annotations

import numpy as np
import pytest
import torch

from components import neighbours
from components.neighbours import nearest


@pytest.fixture(params=[True, False], ids=["faiss", "torch"])
def search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        pytest.importorskip("faiss")
    monkeypatch.setattr(neighbours, "_HAS_FAISS", request.param)
    monkeypatch.setattr(neighbours, "_BLOCK_ENTRIES", 1000)  # several blocks of rows


def features(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize(("n", "d", "k"), [(1, 3, 1), (30, 4, 30), (150, 16, 7), (301, 33, 20)])
def test_equals_a_full_sort(n: int, d: int, k: int) -> None:
    x = features(n, d)
    full = (x.double()[:, None] - x.double()[None]).square().sum(2)
    distances, indices = nearest(x, k)
    assert indices.dtype == torch.int64
    assert distances.dtype == torch.float32
    assert torch.equal(indices, full.argsort(1)[:, :k])
    assert torch.allclose(distances.double(), full.sort(1).values[:, :k], atol=1e-4)


@pytest.mark.usefixtures("search")
def test_an_image_stays_in_its_own_list_among_many_duplicates() -> None:
    x = torch.cat([features(1, 8).repeat(50, 1), features(20, 8, seed=1)])
    distances, indices = nearest(x, 10)
    assert (indices == torch.arange(70)[:, None]).any(1).all()
    assert (indices[:50] < 50).all()
    assert all(len(set(row)) == 10 for row in indices.tolist())
    assert (distances.diff(dim=1) >= -1e-5).all()


@pytest.mark.usefixtures("search")
def test_features_are_left_as_they_were() -> None:
    x = features(40, 8).double()
    before = x.clone()
    nearest(x, 5)
    assert torch.equal(x, before)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="k=6 neighbours of 5 images"):
        nearest(features(5, 2), 6)
    with pytest.raises(ValueError, match="k=0"):
        nearest(features(5, 2), 0)
    with pytest.raises(ValueError, match="NaN"):
        nearest(torch.full((5, 2), torch.nan), 2)
