from __future__ import annotations

import numpy as np
import pytest

from usvi_bench.benchmarks.kmeans import compare, inertia, make_clusters, one_by_one, ours


def test_both_sides_split_the_same_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    features = make_clusters(3, 30, 16)
    assert features.shape == (3, 30, 16)
    for split in (ours, one_by_one):
        centres = split(features, 4, 0)
        expected = np.square(features[:, :, None].astype(float) - centres[:, None]).sum(3).min(2).sum() / 3
        assert inertia(features, centres) == pytest.approx(expected)
    result = compare(features, 4, 2)
    assert result["ratio"] > 0
    assert result["mean_inertia"]["batched"] == pytest.approx(result["mean_inertia"]["scikit-learn"], rel=0.02)
    assert [len(rows) for rows in result["paths"].values()] == [2, 2]
