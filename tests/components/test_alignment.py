from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.alignment import class_prototypes, discrepancy, inter_loss, intra_costs


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive_discrepancy(visible: Tensor, infrared: Tensor) -> Tensor:
    """MMD^2 of two groups, written from its definition."""
    rows = torch.cat([visible, infrared])
    bandwidth = sum(float((a - b).square().sum().detach()) for a in rows for b in rows) / (len(rows) ** 2 - len(rows))

    def mean(left: Tensor, right: Tensor) -> Tensor:
        terms = [
            torch.exp(-(a - b).square().sum() / (bandwidth * 2.0 ** (j - 2)))
            for a in left
            for b in right
            for j in range(5)
        ]
        return torch.stack(terms).sum() / (len(left) * len(right))

    return mean(visible, visible) + mean(infrared, infrared) - mean(visible, infrared) - mean(infrared, visible)


@pytest.mark.parametrize(
    ("count", "width", "scale", "value", "norm", "first"),
    [
        (4, 16, 1.0, 1.758658, 0.237461, [0.020091, -0.002891, -0.008828, -0.052398]),
        (8, 16, 1.0, 0.908370, 0.129852, None),
        (4, 2048, 0.05, 1.800201, 0.417769, None),
    ],
)
def test_the_discrepancy_is_the_released_codes(
    count: int, width: int, scale: float, value: float, norm: float, first: list[float] | None
) -> None:
    """shijiangming1/MMM @7e57d50."""
    g = np.random.default_rng(51)
    a = torch.from_numpy((scale * g.standard_normal((count, width))).astype(np.float32)).requires_grad_()
    b = torch.from_numpy((scale * (g.standard_normal((count, width)) + 0.5)).astype(np.float32))
    labels = torch.zeros(count, dtype=torch.int64)
    found = discrepancy(a, b, (labels, labels))
    found.backward()
    assert float(found.detach()) == pytest.approx(value, rel=2e-6)
    assert a.grad is not None
    assert float(a.grad.norm()) == pytest.approx(norm, rel=1e-5)
    if first:
        assert a.grad[0, :4].tolist() == pytest.approx(first, abs=1e-6)


def test_values_and_gradients_are_those_of_naive_loops_over_classes_of_any_sizes() -> None:
    visible, infrared = (normalize(draws(n, 6, seed=n)).requires_grad_() for n in (9, 7))
    labels = torch.tensor([0, 2, 0, 2, 2, 1, 5, 0, 5]), torch.tensor([2, 0, 0, 5, 5, 5, 7])  # 1 and 7 are alone
    found = torch.autograd.grad(discrepancy(visible, infrared, labels), [visible, infrared])
    both = [0, 2, 5]
    groups = [(visible[labels[0] == p], infrared[labels[1] == p]) for p in both]
    expected = torch.stack([naive_discrepancy(*group) for group in groups]).mean()
    torch.testing.assert_close(discrepancy(visible, infrared, labels), expected, atol=2e-6, rtol=2e-6)
    for own, other in zip(found, torch.autograd.grad(expected, [visible, infrared]), strict=True):
        torch.testing.assert_close(own, other, atol=2e-6, rtol=1e-4)


def test_inter_of_several_views_is_the_sum_over_them() -> None:
    visible, infrared = draws(8, 5, seed=1), draws(3, 5, seed=2)
    labels = torch.tensor([0, 1, 1, 0] * 2), torch.tensor([0, 1, 1])
    expected = sum(inter_loss(part, infrared, (labels[0][:4], labels[1])) for part in visible.split(4))
    torch.testing.assert_close(inter_loss(visible, infrared, labels, views=2), expected)


def test_no_gradient_of_inter_reaches_the_stopped_side() -> None:
    visible, infrared = (draws(4, 5, seed=n).requires_grad_() for n in (1, 2))
    labels = torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    there = naive_discrepancy(visible, infrared.detach())
    back = naive_discrepancy(infrared, visible.detach())
    found = inter_loss(visible, infrared, labels)
    torch.testing.assert_close(found, there + back, atol=2e-6, rtol=2e-6)
    (of_visible,), (of_infrared,) = torch.autograd.grad(there, [visible]), torch.autograd.grad(back, [infrared])
    for own, other in zip(torch.autograd.grad(found, [visible, infrared]), (of_visible, of_infrared), strict=True):
        torch.testing.assert_close(own, other, atol=2e-6, rtol=1e-4)


def test_equal_groups_have_no_discrepancy_and_equal_rows_no_gradient() -> None:
    rows, labels = normalize(draws(6, 5)), torch.tensor([0, 0, 1, 1, 2, 2])
    assert float(discrepancy(rows, rows.clone(), (labels, labels))) == pytest.approx(0, abs=1e-6)
    same = normalize(torch.ones(4, 5)).requires_grad_()
    found = discrepancy(same, same.detach(), (labels[:4], labels[:4]))
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-2)
    assert same.grad is not None
    assert same.grad.isfinite().all()


def test_without_a_class_of_both_modalities_the_discrepancy_is_zero() -> None:
    rows = draws(4, 5).requires_grad_()
    found = discrepancy(rows, draws(1, 5), (torch.arange(4), torch.tensor([9])))
    found.backward()
    assert float(found.detach()) == 0
    assert rows.grad is not None
    assert not rows.grad.any()


def test_intra_is_its_definition_in_both_norms_without_a_gradient_of_prototypes() -> None:
    features, rows, weights = draws(5, 6).requires_grad_(), draws(5, 6, seed=1).requires_grad_(), torch.rand(5)
    squared = sum(float(((f - c) ** 2).sum().detach()) for f, c in zip(features, rows, strict=True)) / 5
    absolute = sum(
        float(w) * float((f - c).abs().sum().detach()) / 6 for w, f, c in zip(weights, features, rows, strict=True)
    )
    found = intra_costs(features, rows, weights, "l2").mean()
    assert float(found.detach()) == pytest.approx(squared)
    assert float(intra_costs(features, rows, weights, "l1").mean().detach()) == pytest.approx(absolute / 5)
    found.backward()
    assert rows.grad is None


@pytest.mark.parametrize("by_count", [False, True])
def test_prototypes_are_weighted_means_of_a_naive_loop(by_count: bool) -> None:
    features, labels = draws(12, 4), torch.tensor([0, 1, 0, -1, 1, 1, 3, 3, -1, 0, 3, 3])
    weights = torch.rand(12, generator=torch.Generator().manual_seed(3)) * (labels >= 0)
    found = class_prototypes(features, labels, weights, 5, by_count=by_count)
    for p in range(5):
        members = [i for i in range(12) if labels[i] == p]
        total = len(members) if by_count else sum(float(weights[i]) for i in members)
        expected = sum((weights[i] * features[i] for i in members), torch.zeros(4)) / (total or 1)
        torch.testing.assert_close(found[p], expected)


def test_a_class_without_confidence_has_the_plain_mean() -> None:
    features, labels, weights = draws(4, 3), torch.tensor([0, 0, 1, 1]), torch.tensor([0.0, 1e-30, 0.5, 0.0])
    found = class_prototypes(features, labels, weights, 2, by_count=False)
    torch.testing.assert_close(found, torch.stack([features[:2].mean(0), features[2]]))
