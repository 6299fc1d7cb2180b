"""Constant tensors, copied to a device only once, because each copy makes the host wait for the device."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache
def constant(values: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a tensor of nested tuples of numbers.

    Calls with equal arguments return the same tensor, so do not write to it.
    """
    return torch.tensor(values, device=device, dtype=dtype)
