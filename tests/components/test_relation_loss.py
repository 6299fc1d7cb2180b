from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.distances import squared_distances
from usvi_bench.components.relation_loss import Space, relation_loss, relation_losses

GROUPS = torch.arange(24) % 3


def draws(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def grouped(width: int) -> Tensor:
    return draws(13, 24, width) + draws(14, 3, width)[GROUPS]


def value_and_gradient(features: Tensor, space: Space) -> tuple[float, Tensor]:
    leaf = features.clone().requires_grad_()
    loss = relation_loss(leaf, space)
    loss.backward()
    assert leaf.grad is not None
    return float(loss.detach()), leaf.grad


def naive(features: Tensor, space: str, sigma: float, delta: float) -> Tensor:
    own = features.detach()
    own = torch.stack([row / row.norm() for row in own]) if space == "unit" else own
    total, count = features.new_zeros(()), len(features)
    for i in range(count):
        gaps = [(features[i] - features[j]).norm() if i != j else features.new_zeros(()) for j in range(count)]
        mean = sum(gaps[1:], gaps[0]) / count
        for j in range(count):
            if i != j:
                weight = torch.exp(-((own[i] - own[j]) ** 2).sum() / sigma)
                scaled = gaps[j] / mean
                total = total + weight * scaled**2 + (1 - weight) * (delta - scaled).clamp(min=0) ** 2
    return total / (count * (count - 1))


@pytest.mark.parametrize(
    ("width", "change", "loss", "pull", "push", "norm", "largest"),
    [
        (16, "none", 0.0160542, 1.08e-9, 0.0160542, 0.0032076, 4.36e-7),
        (16, "unit", 0.2457577, 0.2379197, 0.0078380, 0.0078544, 0.678227),
        (16, "fifth", 0.1369539, 0.1268614, 0.0100925, 0.0043640, 0.556655),
        (2048, "none", 0.0101125, 0.0, 0.0101125, 0.0002732, 0.0),
    ],
)
def test_values_of_the_released_code(
    width: int, change: str, loss: float, pull: float, push: float, norm: float, largest: float
) -> None:
    """XiangboYin/RPNR @6647f21, whose weights are of raw features: no pull at the width of its network."""
    features = {"none": grouped(width), "unit": normalize(grouped(width)), "fifth": 0.2 * grouped(width)}[change]
    value, gradient = value_and_gradient(features, "raw")
    assert value == pytest.approx(loss, rel=2e-6, abs=6e-8)
    pulled = float(relation_loss(features, "raw", delta=0.0))  # then nothing is pushed apart
    assert pulled == pytest.approx(pull, rel=2e-6, abs=6e-8 if pull > 1e-6 else 6e-12)
    assert value - pulled == pytest.approx(push, rel=2e-6, abs=6e-8)
    assert float(gradient.norm()) == pytest.approx(norm, abs=6e-8)
    weights = (-squared_distances(features)).exp().fill_diagonal_(0)
    assert float(weights.max()) == pytest.approx(largest, rel=2e-3 if largest < 1e-6 else 2e-6, abs=6e-10)
    if change == "unit":
        assert gradient[0, :4].tolist() == pytest.approx([0.000304, -0.000618, 0.000455, 0.000784], abs=6e-7)


@pytest.mark.parametrize(
    ("scale", "loss"),
    [(0.05, 1.011909), (0.1, 0.762370), (0.2, 0.267457), (0.5, 0.009558), (1, 0.008299), (9, 0.008299)],
)
def test_the_released_loss_depends_on_the_scale(scale: float, loss: float) -> None:
    rows = (np.random.default_rng(13).standard_normal((24, 16)) * scale).astype(np.float32)
    assert float(relation_loss(torch.from_numpy(rows), "raw")) == pytest.approx(loss, rel=2e-6, abs=6e-7)


@pytest.mark.parametrize(
    ("width", "loss", "norm", "alike", "others"),
    [(16, 0.248505, 0.002247, 0.404333, 0.197608), (2048, 0.204832, 0.000036, 0.361442, 0.137621)],
)
def test_values_with_weights_of_unit_features(
    width: int, loss: float, norm: float, alike: float, others: float
) -> None:
    """Those of the relaxed contrastive loss that the release has without using it."""
    features = grouped(width)
    value, gradient = value_and_gradient(features, "unit")
    assert value == pytest.approx(loss, rel=2e-6, abs=6e-7)
    assert float(gradient.norm()) == pytest.approx(norm, abs=6e-7)
    weights = (-squared_distances(normalize(features))).exp()
    same, own = GROUPS[:, None] == GROUPS, torch.eye(24, dtype=torch.bool)
    assert float(weights[same & ~own].mean()) == pytest.approx(alike, rel=2e-6, abs=6e-7)
    assert float(weights[~same].mean()) == pytest.approx(others, rel=2e-6, abs=6e-7)
    if width == 16:
        assert gradient[0, :4].tolist() == pytest.approx([0.000363, -0.000520, 0.000128, 0.000009], abs=6e-7)


@pytest.mark.parametrize("space", ["unit", "raw"])
@pytest.mark.parametrize(("sigma", "delta"), [(1.0, 1.0), (0.3, 0.7), (4.0, 1.6)])
def test_loss_and_gradient_are_those_of_the_loop(space: Space, sigma: float, delta: float) -> None:
    features = 0.3 * draws(2, 9, 5)
    a, b = features.clone().requires_grad_(), features.double().requires_grad_()
    loss, expected = relation_loss(a, space, sigma, delta), naive(b, space, sigma, delta)
    torch.testing.assert_close(loss, expected.float(), atol=1e-7, rtol=1e-5)
    loss.backward()
    expected.backward()
    assert a.grad is not None
    assert b.grad is not None
    torch.testing.assert_close(a.grad, b.grad.float(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("space", ["unit", "raw"])
def test_groups_in_one_pass_have_the_losses_and_gradients_of_each_alone(space: Space) -> None:
    parts = [0.3 * draws(seed, count, 5) for seed, count in ((2, 9), (3, 4), (4, 1))]
    together = [part.clone().requires_grad_() for part in parts]
    losses, weights = relation_losses(together, space, 0.8, 1.2), torch.tensor([1.0, -2.0, 3.0])
    (torch.stack(losses) * weights).sum().backward()
    for part, leaf, loss, weight in zip(parts, together, losses, weights, strict=True):
        alone = part.clone().requires_grad_()
        expected = relation_loss(alone, space, 0.8, 1.2)
        (weight * expected).backward()
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(leaf.grad, alone.grad, atol=1e-6, rtol=1e-5)


def test_only_weights_of_unit_features_do_not_depend_on_the_scale() -> None:
    features = draws(3, 12, 8)
    for space, alike in (("unit", True), ("raw", False)):
        losses = [float(relation_loss(scale * features, space)) for scale in (0.1, 1.0, 30.0)]  # type: ignore[arg-type]
        assert (losses == pytest.approx([losses[1]] * 3, rel=1e-5)) == alike


@pytest.mark.parametrize("space", ["unit", "raw"])
def test_equal_features_give_a_finite_gradient(space: Space) -> None:
    for features in (torch.ones(4, 3), draws(4, 3, 4)[[0, 0, 1, 2, 2]], torch.ones(1, 3)):
        value, gradient = value_and_gradient(features, space)
        assert np.isfinite(value)
        assert bool(gradient.isfinite().all())


def test_the_loss_is_computed_in_float32_under_autocast() -> None:
    features = grouped(16)
    with torch.autocast("cpu", torch.bfloat16):
        found = relation_loss(features)
        half = relation_loss(features.bfloat16())
    assert found.dtype == half.dtype == torch.float32
    assert torch.equal(found, relation_loss(features))
