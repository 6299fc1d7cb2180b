"""Rain on an image: bright streaks, blur and darkening.

The rain of corrupted test sets in MinghuiChen43/CIL-ReID @ac44dfa, with the streaks of ``albumentations`` 0.5.2: all of
them lean by ten pixels, whatever slant was drawn, because that version draws lines with its default slant.
"""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

STREAKS = {"drizzle": (770, 10), "heavy": (600, 30), "torrential": (500, 60)}
"""Pixels of the image for each streak, and length of a streak in pixels."""
SEVERITIES = ("drizzle", "heavy", "heavy", "torrential", "torrential")
LEAN = 10
COLOUR = (200, 200, 200)


def rain(pixels: NDArray[np.uint8], severity: int, seed: int) -> NDArray[np.uint8]:
    """Draw rain on a copy of an image.

    Args:
        pixels: ``[H, W, 3]`` RGB.
        severity: from 1 to 5.
        seed: seed of the streaks.
    """
    import cv2  # imported here: few runs need it

    draws = random.Random(seed)
    height, width = pixels.shape[:2]
    area, length = STREAKS[SEVERITIES[severity - 1]]
    wet = pixels.copy()
    slant = int(draws.uniform(-LEAN, LEAN))
    for _ in range(height * width // area):
        x = draws.randint(slant, width) if slant < 0 else draws.randint(0, max(0, width - slant))
        y = draws.randint(0, max(0, height - length))
        cv2.line(wet, (x, y), (x + LEAN, y + length), COLOUR, 1)
    blurred = cv2.blur(wet, (2 + severity, 2 + severity))
    toned = cv2.cvtColor(cv2.cvtColor(blurred, cv2.COLOR_RGB2HLS), cv2.COLOR_HLS2RGB)
    dark: NDArray[np.uint8] = np.clip(toned - 255 * (0.05 + 0.05 * severity), 0, 255).astype(np.uint8)
    return dark
