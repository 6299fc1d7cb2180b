"""Negative controls: each breaks a training in one way that a GPU would not forgive, or would run slowly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from usvi_bench.methods.base import Method


def _at_end_step(action: Any) -> Iterator[None]:
    with patch.object(Method, "step", _step_then(action)):
        yield


def _step_then(action: Any) -> Any:
    step = Method.step

    def broken(self: Method, *args: Any) -> None:
        step(self, *args)
        action(next(self.parameters()).detach())

    return broken


def mixed_device() -> Iterator[None]:
    """Add a tensor of the CPU to one of the device."""
    yield from _at_end_step(lambda weights: weights + torch.ones(weights.shape[-1]))


def wrong_generator() -> Iterator[None]:
    """Draw on the device from a generator of the CPU."""
    yield from _at_end_step(lambda weights: torch.rand(2, device=weights.device, generator=torch.Generator()))


def numpy_of_the_device() -> Iterator[None]:
    """Convert a tensor of the device to numpy."""
    yield from _at_end_step(lambda weights: weights.numpy())


def item() -> Iterator[None]:
    """Read a number in every step."""
    yield from _at_end_step(lambda weights: weights.sum().item())


def mask() -> Iterator[None]:
    """Index by a mask in every step."""
    yield from _at_end_step(lambda weights: weights[weights > 0])


def branch() -> Iterator[None]:
    """Branch on a value in every step."""
    yield from _at_end_step(lambda weights: bool((weights > 0).any()))


def pageable_copy() -> Iterator[None]:
    """Copy ordinary memory to the device in every step."""
    yield from _at_end_step(lambda weights: torch.ones(2).to(weights.device, non_blocking=True))


def small_kernels() -> Iterator[None]:
    """Start 300 small kernels in every step."""
    yield from _at_end_step(lambda weights: [weights + 1 for _ in range(300)])


def any_order() -> Iterator[None]:
    """Sum in an order that a GPU does not fix."""
    yield from _at_end_step(lambda weights: weights.cumsum(0))
