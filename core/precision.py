"""Precision of a training: the types that an encoder computes in, and TF32, which is off everywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
"""``fp32``: float32 with all its 24 bits of mantissa. ``tf32``: float32 whose factors in convolutions and matrix
products are rounded to 11 bits, on a GPU of compute capability 8.0 or later. ``bf16``, ``fp16``: autocast to 16 bits.
"""
AUTOCAST: dict[Precision, torch.dtype | None] = {
    "fp32": None, "tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16,
}  # fmt: skip
"""Data type that autocast selects for each precision."""


def tf32_allowed() -> bool:
    """Return whether convolutions or matrix products in float32 may use TF32 at this moment."""
    return torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32


@contextmanager
def allow_tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in convolutions and matrix products within the block; restore torch's settings after it.

    Torch allows it in convolutions by default.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


@contextmanager
def compute_in(precision: Precision, device: str) -> Iterator[None]:
    """Compute in a precision within the block.

    Args:
        precision: the precision.
        device: type of the device.
    """
    dtype = AUTOCAST[precision]
    with allow_tf32(precision == "tf32"), torch.autocast(device, dtype=dtype, enabled=dtype is not None):
        yield
