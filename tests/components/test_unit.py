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
