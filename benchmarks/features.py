"""Synthetic features whose neighbourhoods are as mixed as those of people in front of cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.seeding import numpy_generator

LATENT = 48
IMAGES = 25
"""Of each identity."""
CAMERAS = 4

_CHUNK_ENTRIES = 1 << 23


@dataclass(frozen=True, eq=False)
class People:
    """Features ``[N, D]`` of unit length and, of each row, who it shows ``[N]`` and which camera saw it ``[N]``."""

    features: NDArray[np.float32]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]


def people(size: int, dimension: int, noise: float = 0.9, offset: float = 0.4, seed: int = 0) -> People:
    """Images of ``size / 25`` identities, as pooled features of a network are: not negative, of unit length.

    An image is a latent point of 48 numbers: its identity's, a shift of its camera and noise of its own; a random
    projection and ReLU make it a feature. Needs little more memory than its result.

    Args:
        size: images; row ``i`` shows identity ``i % identities``.
        dimension: length of a feature.
        noise: standard deviation of an image's own part; that of identities is 1.
        offset: standard deviation of the cameras' shifts.
        seed: of a private generator.
    """
    generator = numpy_generator(seed, "people", size)
    count = max(2, size // IMAGES)
    rows = np.arange(size)
    identities, cameras = rows % count, rows // count % CAMERAS
    centres = generator.standard_normal((count, LATENT), dtype=np.float32)
    shifts = np.float32(offset) * generator.standard_normal((CAMERAS, LATENT), dtype=np.float32)
    projection = generator.standard_normal((LATENT, dimension), dtype=np.float32)
    features = np.empty((size, dimension), np.float32)
    step = _CHUNK_ENTRIES // dimension
    for start in range(0, size, step):
        chunk = features[start : start + step]
        own = generator.standard_normal((len(chunk), LATENT), dtype=np.float32)
        who, where = identities[start : start + step], cameras[start : start + step]
        np.matmul(centres[who] + shifts[where] + np.float32(noise) * own, projection, out=chunk)
        np.maximum(chunk, 0, out=chunk)
        chunk /= np.linalg.norm(chunk, axis=1, keepdims=True)
    return People(features, identities, cameras)


def purity(features: NDArray[np.float32], identities: NDArray[np.int64], sample: int = 500, k: int = 30) -> float:
    """Share of the same identity among the ``k`` nearest images, the image itself included, on a sample of images.

    Args:
        features: ``[N, D]`` of unit length.
        identities: ``[N]``.
        sample: images asked for their neighbours.
        k: neighbours of each.
    """
    n = len(features)
    asked = numpy_generator(0, "purity").choice(n, min(sample, n), replace=False)
    shares = []
    step = max(1, 2 * _CHUNK_ENTRIES // n)
    for start in range(0, len(asked), step):
        rows = asked[start : start + step]
        nearest = np.argpartition(-(features[rows] @ features.T), min(k, n) - 1, axis=1)[:, :k]
        shares.append((identities[nearest] == identities[rows, None]).mean(axis=1))
    return float(np.concatenate(shares).mean())
