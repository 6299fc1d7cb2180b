from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from usvi_bench.components.memory.cluster import UPDATE_RULES, adaptive_weights
from usvi_bench.components.memory.hybrid import average
from usvi_bench.components.memory.shared_update import UpdateSamples, adaptive_update, plain_update


def two_modalities() -> tuple[torch.Tensor, list[UpdateSamples]]:
    """Make four rows: the first has samples of both modalities, the next two of one, the last of none."""
    generator = torch.Generator().manual_seed(2)
    rows = normalize(torch.randn(4, 5, generator=generator), dim=1)
    parts = []
    for labels in (torch.tensor([0, 0, 0, 1]), torch.tensor([0, 2, 2, 2])):
        features = normalize(torch.randn(4, 5, generator=generator), dim=1)
        parts.append(UpdateSamples(features, labels, torch.rand(4, generator=generator)))
    return rows, parts


def test_modalities_have_equal_say_in_a_shared_row() -> None:
    rows, parts = two_modalities()
    new, effective = adaptive_update(rows, parts, temperature=0.09, exponent=1.0, momentum=0.1)
    for k in range(4):
        targets = []
        for s in parts:
            mine = [i for i in range(4) if s.labels[i] == k]
            if not mine:
                continue
            scores = [float(-(s.features[i] @ rows[k]) / 0.09 + 1.0 * s.trust[i].clamp(min=1e-6).log()) for i in mine]
            weights = torch.tensor(scores).softmax(0)
            total = sum(w * s.features[i] for w, i in zip(weights, mine, strict=True))
            targets.append(normalize(total, dim=0))
        expected = rows[k]
        if targets:
            expected = normalize(0.1 * rows[k] + 0.9 * torch.stack(targets).mean(0), dim=0)
        torch.testing.assert_close(new[k], expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(new[3], rows[3])
    for s, value in zip(parts, effective, strict=True):
        weights = adaptive_weights(rows, s.features, s.labels, s.trust, 0.09, 1.0)
        assert float(value) == pytest.approx(2 / float((weights**2).sum()))


@pytest.mark.parametrize("rule", sorted(UPDATE_RULES))
def test_a_plain_update_is_the_mean_of_the_modalities_own(rule: str) -> None:
    rows, parts = two_modalities()
    new = plain_update(rows, parts, rule, 0.1)
    alone = [UPDATE_RULES[rule](rows, s.features, s.labels, 0.1) for s in parts]
    for k in range(4):
        moved = [own[k] for own, s in zip(alone, parts, strict=True) if k in s.labels]
        torch.testing.assert_close(new[k], normalize(torch.stack(moved).mean(0), dim=0) if moved else rows[k])
    assert torch.equal(plain_update(rows, parts[:1], rule, 0.1), alone[0])


def test_average_counts_only_parts_with_samples() -> None:
    parts = [torch.tensor([[2.0], [4.0], [9.0]]), torch.tensor([[6.0], [8.0], [9.0]])]
    present = [torch.tensor([True, True, False]), torch.tensor([True, False, False])]
    mean, anywhere = average(parts, present)
    assert mean.squeeze(1).tolist() == [4.0, 4.0, 0.0]
    assert anywhere.tolist() == [True, True, False]
