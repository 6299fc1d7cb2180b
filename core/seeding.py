"""Seeds derived per purpose, so that no draw disturbs another."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, for example ``derive(0, "sampler", "visible", epoch)``.

    Equal arguments give equal seeds on every platform; different purposes give unrelated ones.
    """
    text = "/".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *purpose: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator of its own for one purpose."""
    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator of its own for one purpose."""
    return np.random.default_rng(derive(seed, *purpose))
