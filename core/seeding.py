"""Seeds for independent purposes, derived from the seed of a run."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, *purpose: str | int) -> int:
    """Derive a 63-bit seed for one purpose.

    Equal arguments give equal seeds on every platform. Seeds of different purposes are unrelated.

    >>> derive(0, "sampler", "visible", 3)
    6623367385225023401
    """
    text = "/".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *purpose: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a new torch generator for one purpose."""
    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a new numpy generator for one purpose."""
    return np.random.default_rng(derive(seed, *purpose))


def seed_global(seed: int) -> None:
    """Seed the global generators of torch, NumPy and Python, for code that draws from them."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def restored_generators(device: torch.device) -> Iterator[None]:
    """Restore the global generators of torch, NumPy and Python after the block."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
