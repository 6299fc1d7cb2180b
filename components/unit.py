"""Unit features: normalisation with a short backward pass, computed once for all losses of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def unit(features: Tensor) -> Tensor:
    """Normalise the rows of ``features`` ``[B, D]``.

    Values and gradients are those of ``torch.nn.functional.normalize`` with its smallest length of 1e-12, whose
    backward pass has three times as many operations: with u = f / |f|, the gradient of f is (g - u (u . g)) / |f|.

    The result is kept with features that a network has computed. Until they change, further calls return it again, so
    that the losses of a batch share one normalisation and its backward pass.

    >>> unit(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if features.is_leaf or not torch.is_grad_enabled():
        return _normalise(features)
    version, made = getattr(features, "_unit_rows", (None, features))
    if version != features._version:
        made = _normalise(features)
        features._unit_rows = features._version, made  # type: ignore[attr-defined]
    rows: Tensor = made
    return rows


def _normalise(features: Tensor) -> Tensor:
    made: Tensor = _Unit.apply(features)  # type: ignore[no-untyped-call]
    return made


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_(min=1e-12)
        made: Tensor = features / length
        ctx.save_for_backward(made, length)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        made, length = ctx.saved_tensors
        along = (made * gradient).sum(dim=1, keepdim=True)
        back: Tensor = torch.addcmul(gradient, made, along, value=-1).div_(length)
        return back
