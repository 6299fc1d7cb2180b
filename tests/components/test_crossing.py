from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from usvi_bench.components.association import match
from usvi_bench.components.crossing import cross_direction, matched, select_matched
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.core.types import Features, PseudoLabels


def test_visible_samples_cross_over_in_even_epochs_and_infrared_ones_in_odd() -> None:
    assert [cross_direction(epoch) for epoch in range(4)] == [("visible", "infrared"), ("infrared", "visible")] * 2


def test_samples_go_to_the_row_of_their_cluster_s_partner() -> None:
    features = torch.arange(10.0).view(5, 2).requires_grad_()
    labels, partners = torch.tensor([2, 0, 1, 2, 0]), torch.tensor([3, -1, 0])
    kept, rows = select_matched(features, labels, partners)
    expected = [(f, int(partners[y])) for f, y in zip(features, labels, strict=True) if partners[y] >= 0]
    assert rows.tolist() == [row for _, row in expected] == [0, 3, 0, 3]
    assert torch.equal(kept, torch.stack([f for f, _ in expected]))
    kept.sum().backward()
    assert features.grad is not None
    assert features.grad.sum(1).tolist() == [2, 2, 0, 2, 2]


def test_no_sample_may_have_a_partner() -> None:
    kept, rows = select_matched(torch.ones(2, 3), torch.tensor([0, 0]), torch.tensor([-1, 4]))
    assert kept.shape == (0, 3)
    assert rows.shape == (0,)


@pytest.mark.parametrize("progressive", [True, False])
def test_clusters_are_matched_by_the_rows_that_memories_start_with(progressive: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    visible, infrared = torch.randn(12, 5, generator=generator), torch.randn(9, 5, generator=generator)
    cameras = torch.zeros(12, dtype=torch.int64)
    labels = PseudoLabels(torch.arange(12) % 5 - 1, torch.arange(9) % 3 - 1)  # four clusters and two; outliers
    found = matched(Features(visible, infrared, cameras, cameras[:9]), labels, progressive)
    rows = [
        ClusterMemory(torch.stack([normalize(f[part == k].sum(0), dim=0) for k in range(int(part.max()) + 1)])).rows
        for f, part in ((visible, labels.visible), (infrared, labels.infrared))
    ]
    expected = match(*rows, progressive)
    assert all(torch.equal(*pair) for pair in zip(found["partners"], expected, strict=True))
    assert torch.equal(found.visible_to_infrared, expected[0])  # type: ignore[arg-type]
    assert found["clusters"] == labels["clusters"]
    assert bool((expected[0] < 0).any()) != progressive
