"""Copies from host memory to a device that do not block the host."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy values to a device without blocking the host; copies to a GPU go through pinned memory."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def index_to_device(values: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    """Copy rows of a tensor, which may be on any device, to a device without blocking the host.

    Torch's pinned-memory cache reuses a block only after the copy from it has finished.
    """
    if values.is_cuda or device.type != "cuda":
        return values[to_device(rows, values.device)].to(device)
    pinned = torch.empty((len(rows), *values.shape[1:]), dtype=values.dtype, pin_memory=True)
    return torch.index_select(values, 0, rows, out=pinned).to(device, non_blocking=True)
