"""Loss scaler of fp16: gradients that are not finite skip a step, and a training that only skips steps is ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

FLOOR = 1.0
"""Loss scale below which gradients overflow without being scaled at all: the training has diverged."""
LONGEST = 25
"""Number of consecutive skipped steps that end a training; the first 16 lower the initial scale of 65536 to 1."""


class LossScaler:
    """Loss scaler around torch's ``GradScaler``: it counts skipped steps on the device. Without fp16 it does nothing.

    Args:
        device: device that the gradients are on.
        enabled: whether the training is in fp16.
    """

    def __init__(self, device: torch.device, enabled: bool) -> None:
        self.enabled = enabled
        self._scaler = torch.amp.GradScaler(device.type, enabled=enabled)
        self._one = torch.ones((), device=device)
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Reset the counts."""
        self._skipped = torch.zeros_like(self._one)
        self._consecutive = torch.zeros_like(self._one)
        self._longest = torch.zeros_like(self._one)

    def scale(self, loss: Tensor) -> Tensor:
        """Multiply a loss by the loss scale."""
        scaled: Tensor = self._scaler.scale(loss)
        return scaled

    def step(self, optimiser: torch.optim.Optimizer) -> Tensor | None:
        """Step the optimiser, unless a gradient is not finite.

        Returns:
            Scalar, true on the device if the step was skipped; None without fp16.
        """
        if not self.enabled:
            self._scaler.step(optimiser)
            return None
        before = self.scale(self._one)  # the scale itself, without waiting for the device
        self._scaler.step(optimiser)
        self._scaler.update()
        skipped = self.scale(self._one) < before
        self._skipped += skipped
        self._consecutive = (self._consecutive + 1) * skipped
        self._longest = torch.maximum(self._longest, self._consecutive)
        return skipped

    def steps(self, module: nn.Module, count: int) -> Iterator[int]:
        """Count the steps of an epoch, and protect each as :meth:`keep_finite` does."""
        for step in range(count):
            with self.keep_finite(module):
                yield step

    @contextmanager
    def keep_finite(self, module: nn.Module) -> Iterator[None]:
        """Protect running statistics and memories from a skipped step.

        A buffer that is not finite after a block with a skipped step gets its values from before the block.
        """
        if not self.enabled:
            yield
            return
        before = {name: buffer.clone() for name, buffer in module.named_buffers() if buffer.is_floating_point()}
        count = self._skipped.clone()
        yield
        skipped = self._skipped > count
        for name, buffer in module.named_buffers():
            kept = before.get(name)
            if kept is not None and kept.shape == buffer.shape:
                buffer.copy_(torch.where(skipped & ~buffer.isfinite().all(), kept, buffer))

    @property
    def skipped_steps(self) -> int:
        """Number of skipped steps of this epoch; reading it waits for the device."""
        return int(self._skipped) if self.enabled else 0

    def failure(self) -> str | None:
        """Describe why the training cannot recover; None if it can, or without fp16. This waits for the device."""
        if not self.enabled:
            return None
        if (longest := int(self._longest)) >= LONGEST:
            return f"{longest} steps in a row were skipped, because their gradients were not finite in fp16"
        if (scale := self._scaler.get_scale()) < FLOOR:
            return f"the loss scale of fp16 has fallen to {scale:g}, because gradients were not finite"
        return None

    def state(self) -> dict[str, Any]:
        """Return the state that a checkpoint holds."""
        return self._scaler.state_dict()

    def load(self, state: dict[str, Any]) -> None:
        """Load a state that :meth:`state` returned."""
        self._scaler.load_state_dict(state)
