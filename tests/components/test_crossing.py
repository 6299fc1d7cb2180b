from __future__ import annotations

import torch

from components.crossing import direction, with_partner


def test_visible_samples_cross_over_in_even_epochs_and_infrared_ones_in_odd() -> None:
    assert [direction(epoch) for epoch in range(4)] == [("visible", "infrared"), ("infrared", "visible")] * 2


def test_samples_go_to_the_row_of_their_cluster_s_partner() -> None:
    features = torch.arange(10.0).view(5, 2).requires_grad_()
    labels, partners = torch.tensor([2, 0, 1, 2, 0]), torch.tensor([3, -1, 0])
    kept, rows = with_partner(features, labels, partners)
    expected = [(f, int(partners[y])) for f, y in zip(features, labels, strict=True) if partners[y] >= 0]
    assert rows.tolist() == [row for _, row in expected] == [0, 3, 0, 3]
    assert torch.equal(kept, torch.stack([f for f, _ in expected]))
    kept.sum().backward()
    assert features.grad is not None
    assert features.grad.sum(1).tolist() == [2, 2, 0, 2, 2]


def test_no_sample_may_have_a_partner() -> None:
    kept, rows = with_partner(torch.ones(2, 3), torch.tensor([0, 0]), torch.tensor([-1, 4]))
    assert kept.shape == (0, 3)
    assert rows.shape == (0,)
