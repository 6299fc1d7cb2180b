from __future__ import annotations

import pytest
import torch
from torch import Tensor

from usvi_bench.components.multi_memory import CostSide, matching_costs


def memories(clusters: int, count: int, seed: int) -> Tensor:
    return torch.randn(clusters, count, 7, generator=torch.Generator().manual_seed(seed))


def naive(visible: Tensor, infrared: Tensor, side: CostSide) -> list[list[float]]:
    costs = []
    for own in visible:
        costs.append([])
        for other in infrared:
            outer, inner = (own, other) if side == "visible" else (other, own)
            costs[-1].append(sum(min(float((a - b).norm()) for b in inner) for a in outer))
    return costs


@pytest.mark.parametrize("side", ["visible", "infrared"])
def test_costs_are_those_of_a_naive_loop(side: CostSide) -> None:
    visible, infrared = memories(5, 4, 0), memories(3, 2, 1)
    found = matching_costs(visible, infrared, side)
    torch.testing.assert_close(found, torch.tensor(naive(visible, infrared, side)).double(), atol=1e-5, rtol=1e-6)


def test_one_memory_gives_the_distance_of_centroids_from_either_side() -> None:
    visible, infrared = memories(4, 1, 2), memories(6, 1, 3)
    found = matching_costs(visible, infrared)
    torch.testing.assert_close(found, torch.cdist(visible[:, 0].double(), infrared[:, 0].double()))
    assert torch.equal(found, matching_costs(visible, infrared, "infrared"))


def test_the_sides_swap_with_the_modalities_and_the_order_of_memories_does_not_matter() -> None:
    visible, infrared = memories(4, 3, 4), memories(5, 3, 5)
    found = matching_costs(visible, infrared)
    torch.testing.assert_close(found, matching_costs(infrared, visible, "infrared").t())
    torch.testing.assert_close(found, matching_costs(visible[:, [2, 0, 1]], infrared[:, [1, 2, 0]]))


def test_a_cluster_costs_nothing_with_itself() -> None:
    rows = memories(3, 4, 6)
    assert float(matching_costs(rows, rows).diagonal().max()) < 1e-6
