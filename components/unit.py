"""Unit features: normalisation with a short backward pass, computed once for all losses of a batch."""

from __future__ import annotations

from collections.abc import Sequence
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
    version, kept = getattr(features, "_unit_rows", (None, features))
    if version == features._version:
        rows: Tensor = kept if torch.is_grad_enabled() else kept.detach()
        return rows
    made = _normalise(features)
    if torch.is_grad_enabled() and not features.is_leaf:
        _keep(features, made)
    return made


def split(features: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Split features ``[B, D]`` by rows; :func:`unit` normalises features that a network has computed only once."""
    parts = list(features.split(list(sizes)))
    if torch.is_grad_enabled() and not features.is_leaf:
        for part, rows in zip(parts, unit(features).split(list(sizes)), strict=True):
            _keep(part, rows)
    return parts


def detached(features: Tensor) -> Tensor:
    """Detach features; the result of :func:`unit` is kept with them, if it was before."""
    plain = features.detach()
    version, kept = getattr(features, "_unit_rows", (None, features))
    if version == features._version:
        _keep(plain, kept.detach())
    return plain


def _keep(features: Tensor, rows: Tensor) -> None:
    features._unit_rows = features._version, rows  # type: ignore[attr-defined]


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
