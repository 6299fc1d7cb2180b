from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from usvi_bench.components.association import match
from usvi_bench.components.crossing import any_unmatched, cross_direction, matched
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.core.types import Features, PseudoLabels


def test_visible_samples_cross_over_in_even_epochs_and_infrared_ones_in_odd() -> None:
    assert [cross_direction(epoch) for epoch in range(4)] == [("visible", "infrared"), ("infrared", "visible")] * 2


def test_a_cluster_without_partner_is_found() -> None:
    some, all_ = torch.tensor([0, -1, 2]), torch.tensor([1, 0])
    labels = PseudoLabels(torch.arange(3), torch.arange(2), {"partners": (all_, all_)})
    assert not any_unmatched(labels)
    assert any_unmatched(replace(labels, extra={"partners": (all_, some)}))
    assert any_unmatched(replace(labels, extra={"partners": (some, all_)}))


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
