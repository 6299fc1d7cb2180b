"""Grey images of more than 8 bits, such as radiometric thermal images: linear scaling to 8 bits."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from usvi_bench.core.errors import UsageError, show

EACH_IMAGE = "image"
"""Range of grey values that follows from each image alone."""
PERCENTILES = (0.5, 99.5)
"""Percentiles of an image that become black and white. Some dead or hot pixels do not change the scale."""
_RANGE = re.compile(r"(-?\d{1,9}(?:\.\d{1,9})?):(-?\d{1,9}(?:\.\d{1,9})?)", re.ASCII)
DepthRange = tuple[float, float] | None


def parse_depth_range(text: str) -> DepthRange:
    """Read ``LOW:HIGH``, or None for ``image``.

    >>> parse_depth_range("7000:9000.5"), parse_depth_range("image")
    ((7000.0, 9000.5), None)

    Raises:
        UsageError: the text is neither, or LOW is not below HIGH.
    """
    if text == EACH_IMAGE:
        return None
    match = _RANGE.fullmatch(text)
    if match is None or float(match[1]) >= float(match[2]):
        raise UsageError(
            f"data.depth_range={show(text)}: give '{EACH_IMAGE}', or the grey values that become black and white as "
            "LOW:HIGH, for example 7000:9000"
        )
    return float(match[1]), float(match[2])


def is_deep(image: Image.Image) -> bool:
    """Return whether an image is grey with more than 8 bits, or of floats."""
    return image.mode == "F" or image.mode.startswith("I")


def scaled(image: Image.Image, limits: DepthRange = None) -> Image.Image:
    """Scale the grey values of an image linearly to 0 ... 255; values outside of the range become 0 or 255.

    Args:
        image: grey image of integers or floats.
        limits: values that become 0 and 255; the :data:`PERCENTILES` of the image if None. An image of one value
            becomes black.

    Raises:
        ValueError: a value is not finite.
    """
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("its grey values are not all finite numbers")
    low, high = limits or _robust_range(values)
    width = high - low
    share = (values - low) / width if width > 0 else np.zeros_like(values)
    return Image.fromarray(np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8))


def _robust_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the percentiles of an image; its smallest and largest value if most pixels have one value."""
    low, high = (float(value) for value in np.percentile(values, PERCENTILES))
    if not low < high:
        low, high = float(values.min()), float(values.max())
    if not math.isfinite(high - low):
        raise ValueError(f"its grey values from {low:.3g} to {high:.3g} are too far apart")
    return low, high
