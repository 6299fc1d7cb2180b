from __future__ import annotations

import torch
from torch.nn.functional import normalize

from usvi_bench.components.memory.stacked import StackedMemory


def memories() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(count, 4, generator=generator) for name, count in (("a", 3), ("b", 2), ("c", 5))}


def test_logits_within_a_memory_give_the_softmax_of_that_memory_alone() -> None:
    stacked, features = StackedMemory(memories(), 0.1), normalize(torch.randn(6, 4, generator=torch.Generator()))
    names = ("b", "c")
    logits = stacked.logits(features, stacked.masks(names)[:, None].expand(-1, 6, -1))
    for place, name in enumerate(names):
        expected = (features @ normalize(memories()[name]).T / 0.1).log_softmax(dim=1)
        rows = stacked.rows_of({name: torch.arange(len(memories()[name]))})[0]
        log_shares = logits[place].log_softmax(dim=1)
        torch.testing.assert_close(log_shares[:, rows], expected, atol=1e-5, rtol=0)
        assert float(log_shares.exp().sum(dim=1).sub(log_shares[:, rows].exp().sum(dim=1)).abs().max()) < 1e-6
        assert bool((log_shares * log_shares.exp()).isfinite().all())


def test_parts_are_the_unit_rows_and_follow_an_update() -> None:
    stacked = StackedMemory(memories(), 0.1)
    for name, rows in memories().items():
        torch.testing.assert_close(stacked.parts()[name], normalize(rows))
    stacked.rows = stacked.rows + 1
    torch.testing.assert_close(stacked.parts()["c"], normalize(memories()["c"]) + 1)


def test_a_cluster_without_a_row_has_the_spare_one_which_no_memory_holds() -> None:
    stacked = StackedMemory(memories(), 0.1)
    rows = stacked.rows_of({"a": torch.tensor([2, 0, 1]), "c": torch.tensor([4, -1, 0])})
    assert rows.tolist() == [[2, 0, 1], [9, stacked.spare, 5]]
    assert stacked.rows[stacked.spare].norm() == 1
    assert stacked.spare == len(stacked.rows) - 1 == sum(len(part) for part in stacked.parts().values())
    assert bool((stacked.masks(("a", "b", "c"))[:, stacked.spare] < 0).all())
