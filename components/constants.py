"""Constants on a device, copied there once: a copy from ordinary memory makes the host wait for the device."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache
def constant(values: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor of nested tuples of numbers; calls with equal arguments give one and the same, so do not write to it."""
    return torch.tensor(values, device=device, dtype=dtype)
