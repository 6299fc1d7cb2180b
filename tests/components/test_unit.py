from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from usvi_bench.components.unit import unit


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_values_and_gradients_are_those_of_normalize(dtype: torch.dtype, close: float) -> None:
    generator = torch.Generator().manual_seed(0)
    features = 3 * torch.randn(8, 5, generator=generator, dtype=dtype)
    features[2] = 0
    weights = torch.randn(8, 5, generator=generator, dtype=dtype)
    ours, theirs = (features.clone().requires_grad_() for _ in range(2))
    made, expected = unit(ours), normalize(theirs)
    torch.testing.assert_close(made, expected, atol=close, rtol=0)
    (made * weights).sum().backward()
    (expected * weights).sum().backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, atol=close, rtol=close)


def test_gradients_are_those_of_finite_differences() -> None:
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit, (features,))


def test_losses_of_a_batch_share_one_normalisation_until_the_features_change() -> None:
    weights = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
    features = 2 * weights
    made = unit(features)
    assert unit(features) is made
    with torch.no_grad():
        assert not unit(features).requires_grad
    (2 * unit(features)[:, 0] + unit(features)[:, 1] ** 2).sum().backward()
    ours, weights.grad = weights.grad, None
    (2 * normalize(2 * weights)[:, 0] + normalize(2 * weights)[:, 1] ** 2).sum().backward()
    torch.testing.assert_close(ours, weights.grad)
    with torch.no_grad():
        features[0] = torch.tensor([3.0, 0.0, 4.0])
    assert unit(features)[0].tolist() == pytest.approx([0.6, 0, 0.8])


def test_nothing_is_kept_with_a_tensor_that_no_network_has_computed() -> None:
    features = torch.ones(2, 3, requires_grad=True)
    for _ in range(2):
        unit(features).sum().backward()
    assert unit(features) is not unit(features)
