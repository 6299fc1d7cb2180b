"""Perceptual distances of colours."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""sRGB primaries with white point D65, IEC 61966-2-1."""


def lab(colours: NDArray[np.str_]) -> NDArray[np.float64]:
    """Convert colours like ``#rrggbb`` to CIELAB (CIE 1976), ``[N, 3]``."""
    names, place = np.unique(colours, return_inverse=True)
    rgb = np.array([to_rgb(name) for name in names])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)[place]


def difference(some: NDArray[np.str_], others: NDArray[np.str_]) -> NDArray[np.float64]:
    """Compute CIELAB distances between ``some`` and ``others``, ``[N, M]``; about 2 is just visible."""
    apart: NDArray[np.float64] = np.linalg.norm(lab(some)[:, None] - lab(others), axis=2)
    return apart
