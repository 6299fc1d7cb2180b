"""Check at the end of an epoch that losses and weights are finite, and a remedy that fits the cause."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain

import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import StageProgress
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.methods.base import Method


def finite_losses(method: Method, optimiser: Optimiser, stage: str, progress: StageProgress) -> dict[str, float]:
    """Return the mean losses of an epoch.

    Args:
        method: method that was trained.
        optimiser: its optimiser, after the last step of the epoch.
        stage: name of the stage's method, for messages.
        progress: the epoch.

    Raises:
        UsageError: a loss or a weight is not finite, and no loss scale can mend it; the message names the first such
            loss.
    """
    losses = optimiser.means()
    skipping = optimiser.scaler.failure()
    states = [model.state_dict().values() for model in method.models().values()]  # also of teachers, with buffers
    tensors = [values.detach() for values in chain(method.parameters(), *states) if values.is_floating_point()]
    largest = torch._foreach_norm([values for values in tensors if values.numel()], torch.inf)
    finite = bool(torch.stack(largest).isfinite().all())
    if skipping is None and finite and all(math.isfinite(value) for value in losses.values()):
        return losses
    shown = ", ".join(f"{name} {value:.3g}" for name, value in losses.items())
    cause = _cause(optimiser.first_failures(), len(losses), progress.epoch, f"{optimiser.lr:g}")
    if skipping is not None:
        cause = f"{skipping}; set train.precision=bf16 or fp32, or {cause}"
    raise UsageError(f"training diverged in epoch {progress.epoch + 1} of stage '{stage}' (losses: {shown}); {cause}")


def _cause(failures: Mapping[str, int], terms: int, epoch: int, lr: str) -> str:
    slower = f"lower --set train.lr (now {lr})"
    if not failures:
        return slower
    step = min(failures.values())
    names = [name for name, failed in failures.items() if failed == step]
    first = " and ".join(f"'{name}'" for name in names)
    if epoch == step == 0:
        return f"the loss {first} was not finite before any update: check how the method computes it"
    if len(names) < terms:
        return f"the loss {first} was the first, in step {step + 1}: check how the method computes it, or {slower}"
    return slower
