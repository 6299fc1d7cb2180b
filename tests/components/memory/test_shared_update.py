from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from usvi_bench.components.memory.rules import UPDATE_RULES
from usvi_bench.components.memory.shared_update import UpdateSamples, adaptive_update, effective_samples, plain_update

VISIBLE, INFRARED = (0, 1, 2, 3), (4, 5, 6, 7)
ROWS = 9
"""Rows of a visible, an infrared and a shared memory: 2, 3 and 4."""


def two_modalities() -> tuple[torch.Tensor, UpdateSamples]:
    """Make samples of four shared rows: the first is of both modalities, the next two of one, the last of none."""
    generator = torch.Generator().manual_seed(2)
    rows = normalize(torch.randn(ROWS, 5, generator=generator, dtype=torch.float64), dim=1)
    own, shared = torch.tensor([0, 0, 0, 1, 2, 4, 4, 4]), 5 + torch.tensor([0, 0, 0, 1, 0, 2, 2, 2])
    features = normalize(torch.randn(8, 5, generator=generator, dtype=torch.float64), dim=1)
    trust = torch.rand(2, 8, generator=generator, dtype=torch.float64)
    return rows, UpdateSamples(features, torch.stack([own, shared]), torch.arange(8) > 3, trust)


def members(s: UpdateSamples, k: int) -> list[tuple[int, list[int]]]:
    """List the memory and the samples of each modality that has samples of a row."""
    found = [(p, [i for i in part if s.labels[p, i] == k]) for p in (0, 1) for part in (VISIBLE, INFRARED)]
    return [(p, part) for p, part in found if part]


def test_an_adaptive_update_is_the_loop_and_modalities_have_equal_say_in_a_shared_row() -> None:
    rows, s = two_modalities()
    new, seen = adaptive_update(rows, s, temperature=0.09, exponent=1.0, momentum=0.1)
    for k in range(ROWS):
        targets = []
        for p, mine in members(s, k):
            scores = [float(-(s.features[i] @ rows[k]) / 0.09 + s.trust[p, i].clamp(min=1e-6).log()) for i in mine]
            weights = torch.tensor(scores, dtype=torch.float64).softmax(0)
            torch.testing.assert_close(seen[0, p, mine], weights)
            assert seen[1, p, mine].tolist() == [len(mine)] * len(mine)
            total = sum(w * s.features[i] for w, i in zip(weights, mine, strict=True))
            targets.append(normalize(total, dim=0) if p else total)
        expected = rows[k]
        if targets:
            expected = normalize(0.1 * rows[k] + 0.9 * torch.stack(targets).mean(0), dim=0)
        torch.testing.assert_close(new[k], expected, atol=1e-12, rtol=0)
    assert torch.equal(new[[3, 8]], rows[[3, 8]])


def test_one_memory_of_each_modality_is_updated_like_the_first_of_two() -> None:
    rows, s = two_modalities()
    alone = UpdateSamples(s.features, s.labels[:1], s.infrared, s.trust[:1])
    torch.testing.assert_close(
        adaptive_update(rows, alone, 0.09, 1.0, 0.1)[0][:5], adaptive_update(rows, s, 0.09, 1.0, 0.1)[0][:5]
    )
    assert torch.equal(adaptive_update(rows, alone, 0.09, 1.0, 0.1)[0][5:], rows[5:])


@pytest.mark.parametrize("rule", sorted(UPDATE_RULES))
def test_a_plain_update_is_the_mean_of_the_modalities_own(rule: str) -> None:
    rows, s = two_modalities()
    new = plain_update(rows, s, rule, 0.1)  # type: ignore[arg-type]
    for k in range(ROWS):
        moved = [
            UPDATE_RULES[rule](rows, s.features[mine], s.labels[p, mine], 0.1)[k]  # type: ignore[index]
            for p, mine in members(s, k)
        ]
        expected = normalize(torch.stack(moved).mean(0), dim=0) if moved else rows[k]
        torch.testing.assert_close(new[k], expected, atol=1e-12, rtol=0)
    assert torch.equal(new[[3, 8]], rows[[3, 8]])


def test_the_effective_number_of_samples_of_a_row() -> None:
    """Two rows: one of three equal samples, one of two samples of which one has all the weight."""
    weights, counts = torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0, 0.0]), torch.tensor([3.0, 3, 3, 2, 2])
    assert float(effective_samples(weights, counts)) == pytest.approx(2 / (1 / 3 + 1))
    left_out = torch.cat([weights, torch.zeros(1)]), torch.cat([counts, torch.tensor([torch.inf])])
    assert float(effective_samples(*left_out)) == pytest.approx(2 / (1 / 3 + 1))
