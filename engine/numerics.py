"""Numerics of a run: what its record notes, and switches that a machine refuses."""

from __future__ import annotations

import os
from importlib.util import find_spec
from shutil import which
from typing import Any

import torch

from usvi_bench.components.encoder.network import EmbeddingNetwork
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.errors import UsageError
from usvi_bench.engine.config import RunConfig

AMPERE = (8, 0)
"""Lowest compute capability that has TF32 and bfloat16."""


def numerics(config: RunConfig, device: torch.device) -> dict[str, Any]:
    """Return how a run computes, for its record.

    ``tf32`` is true if the encoder's passes, and with its backward pass that of the losses, may use TF32; clustering,
    memories, scores and the values of losses never do. ``fused`` is the kernel of Adam.
    """
    layout = network_class(config.encoder.name).memory_format
    return {
        "precision": config.train.precision,
        "tf32": config.train.precision == "tf32",
        "channels_last": layout is torch.channels_last,
        "fused": device.type == "cuda",
        "compile": config.engine.compile,
    }


def check_numerics(config: RunConfig, device: torch.device) -> None:
    """Refuse switches that cannot work on this machine.

    Raises:
        UsageError: the precision needs a newer GPU, or ``engine.compile`` needs a compiler or another encoder.
    """
    precision = config.train.precision
    if precision == "tf32" and device.type != "cuda":
        raise UsageError("train.precision=tf32 needs a GPU, and this run computes on a CPU; use train.precision=fp32")
    if device.type == "cuda" and precision in ("tf32", "bf16"):
        capability = torch.cuda.get_device_capability(device)
        if capability < AMPERE:
            found = ".".join(map(str, capability))
            other = "fp16 or fp32" if precision == "bf16" else "fp32"
            raise UsageError(
                f"train.precision={precision} needs compute capability 8.0 or later, and this GPU has {found}; "
                f"use train.precision={other}"
            )
    if config.engine.compile:
        if network_class(config.encoder.name).compile_shared is EmbeddingNetwork.compile_shared:
            name = config.encoder.name
            raise UsageError(
                f"engine.compile=true: the encoder '{name}' has no part to compile; leave engine.compile out"
            )
        if (lacking := missing_compiler(device)) is not None:
            raise UsageError(f"engine.compile=true needs {lacking}; install it, or leave engine.compile out")


def missing_compiler(device: torch.device) -> str | None:
    """Name what ``torch.compile`` lacks on this machine; None if it has all."""
    if device.type == "cuda":
        if find_spec("triton") is None:
            return "the package triton"
        return None if _found("CC", "gcc", "clang", "cc") else "a C compiler (gcc)"
    return None if _found("CXX", "g++", "clang++", "c++") else "a C++ compiler (g++)"


def _found(variable: str, *names: str) -> bool:
    chosen = os.environ.get(variable)
    return any(which(name) is not None for name in ([chosen] if chosen else names))
