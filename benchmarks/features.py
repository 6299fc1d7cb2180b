"""Synthetic features with mixed neighbourhoods, similar to those of people in several cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.seeding import numpy_generator

LATENT = 48
"""Dimension of the latent space."""
IMAGES = 25
"""Number of images per identity."""
CAMERAS = 4

_CHUNK_ENTRIES = 1 << 23


@dataclass(frozen=True, eq=False)
class People:
    """People: features ``[N, D]`` of unit length, identities ``[N]`` and cameras ``[N]``."""

    features: NDArray[np.float32]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]


def people(size: int, dimension: int, noise: float = 0.9, offset: float = 0.4, seed: int = 0) -> People:
    """Draw features of ``size / 25`` identities that resemble pooled features of a network: non-negative, unit length.

    The latent point of an image (48 dimensions) is the sum of a point of its identity, a shift of its camera and noise.
    A random projection and ReLU make it a feature. Memory use is little more than that of the result.

    Args:
        size: number of images; row ``i`` shows identity ``i % identities``.
        dimension: number of features.
        noise: standard deviation of the noise of an image; that of identities is 1.
        offset: standard deviation of the cameras' shifts.
        seed: seed of a private generator.
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
    """Estimate the share of the same identity among the ``k`` nearest images, the image itself included.

    Args:
        features: ``[N, D]`` features of unit length.
        identities: ``[N]`` identities.
        sample: number of images over which the share is averaged.
        k: number of neighbours of each image.
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
