"""Optimiser of a stage: Adam, a learning-rate schedule, and optional mixed precision."""

from __future__ import annotations

from typing import Any

import torch

from usvi_bench.core.distributed.collectives import all_reduce_gradients
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Losses
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.loss_log import LossLog
from usvi_bench.engine.lr_schedules import make_schedule
from usvi_bench.methods.base import Method


class Optimiser:
    """Optimiser of a stage: Adam with coupled weight decay on every trainable tensor, and a learning-rate schedule.

    Weights of batch norm and biases decay too, as in the family's released code (Cluster-Contrast,
    alibaba/cluster-contrast-reid @57b62e9; ADCA, yangbincv/ADCA @8d0a8cb).

    With several processes, each has the gradient of the encoder for its own share of the images; these gradients are
    summed. All other parameters have the gradient of the whole batch on every process.
    """

    def __init__(self, method: Method, train: TrainConfig, epochs: int, device: torch.device) -> None:
        parameters = [p for p in method.parameters() if p.requires_grad]
        self._shared = [p for p in method.encoder.parameters() if p.requires_grad]
        self._fused = True if device.type == "cuda" else None
        self._adam = torch.optim.Adam(parameters, lr=train.lr, weight_decay=train.weight_decay, fused=self._fused)
        self._schedule = make_schedule(self._adam, train, epochs)
        self._scaler = torch.amp.GradScaler(device.type, enabled=train.amp == "fp16")
        self._log = LossLog()

    @property
    def lr(self) -> float:
        """Current learning rate."""
        return float(self._adam.param_groups[0]["lr"])

    def __call__(self, losses: Losses) -> None:
        """Take one step on the sum of the losses.

        Raises:
            UsageError: the losses are not a dictionary of scalar tensors with a gradient.
        """
        _check_losses(losses)
        values = torch.stack(list(losses.values()))
        self._adam.zero_grad(set_to_none=True)
        self._scaler.scale(values.sum()).backward()
        all_reduce_gradients([parameter.grad for parameter in self._shared])
        self._scaler.step(self._adam)
        self._scaler.update()
        self._log.add(tuple(losses), values.detach())

    def means(self) -> dict[str, float]:
        """Return the mean of each loss over the steps of this epoch that computed it; this waits for the device."""
        return self._log.means()

    def first_failures(self) -> dict[str, int]:
        """Return the first step of this epoch, from 0, in which each loss was not finite; without the finite ones."""
        return self._log.first_failures()

    def end_epoch(self) -> None:
        """Advance the schedule and reset the sums of losses."""
        self._schedule.step()
        self._log = LossLog()

    def state(self) -> dict[str, Any]:
        """Return the state that a checkpoint holds."""
        return {
            "adam": self._adam.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Load a state that :meth:`state` returned, also on another type of device."""
        groups = [{**group, "fused": self._fused} for group in state["adam"]["param_groups"]]
        self._adam.load_state_dict({**state["adam"], "param_groups": groups})
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])


def _check_losses(losses: Any) -> None:
    """Refuse anything but named scalar tensors, of which one at least has a gradient."""
    if not isinstance(losses, dict) or not losses:
        raise UsageError(f"the loss of the method is {losses!r:.60}; return a dictionary of named scalar tensors")
    for name, value in losses.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.dim():
            raise UsageError(f"the loss {name!r:.40} of the method is {value!r:.60}; return named scalar tensors")
    if not any(value.requires_grad for value in losses.values()):
        raise UsageError(f"no loss of the method has a gradient ({', '.join(losses)}); do not detach all of them")
