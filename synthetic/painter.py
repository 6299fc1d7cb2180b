"""Drawing of background plates: lit boxes, blobs, lines and rings, floors in perspective.

Coordinates: ``y`` runs from 0 at the top of a plate to 1 at the bottom, ``x`` from 0 to ``WIDTH / HEIGHT``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.synthetic.arithmetic import clip, falloff, logarithm, remainder, wave
from usvi_bench.synthetic.draws import Draws

HEIGHT, WIDTH = 384, 3072
"""Size of a plate in pixels; a box around a person is about ``HEIGHT * 0.6`` high."""
SPAN = WIDTH / HEIGHT
CHANNELS = 5
"""Red, green, blue, near infrared, warmth."""

Material = NDArray[np.float32]
Field = NDArray[np.float32]


def steps(start: float, stop: float, step: float) -> list[float]:
    """Return evenly spaced places from ``start`` to below ``stop``."""
    return [start + i * step for i in range(math.ceil((stop - start) / step))]


class Painter:
    """Painter of a plate ``[CHANNELS, HEIGHT, WIDTH]``; levels are fractions of full scale."""

    def __init__(self, rng: Draws) -> None:
        self.rng = rng
        self.plate: Field = np.zeros((CHANNELS, HEIGHT, WIDTH), np.float32)
        self.tones: Field = rng.tones(1009)

    def surface(
        self,
        level: float,
        tint: float = 0.15,
        near: tuple[float, float] = (0.3, 0.8),
        colour: tuple[float, float, float] = (1.0, 1.0, 1.0),
        warm: float = 0.5,
    ) -> Material:
        """Draw a material around a visible level; near infrared and warmth are drawn independently of it.

        Args:
            level: visible level.
            tint: spread of the visible channels.
            near: range of the near-infrared level.
            colour: factors on red, green and blue.
            warm: mean warmth.
        """
        rgb = [level * factor * self.rng.lognormal(0, 0.5 * tint) for factor in colour]
        heat = clip(self.rng.normal(warm, 0.2), 0.0, 1.0)
        return np.array([*np.clip(rgb, 0.02, 0.98), self.rng.uniform(*near), heat], np.float32)

    def _window(self, x: float, y: float, w: float, h: float) -> tuple[Field, Field, Field] | None:
        """Return a window of the plate and the coordinates of its pixels, or None outside of the plate."""
        top, bottom = max(0, round(y * HEIGHT)), min(HEIGHT, max(0, round((y + h) * HEIGHT)))
        left, right = max(0, round(x * HEIGHT)), min(WIDTH, max(0, round((x + w) * HEIGHT)))
        if top >= bottom or left >= right:
            return None
        rows = (np.arange(top, bottom, dtype=np.float32) + 0.5)[:, None] / HEIGHT
        columns = (np.arange(left, right, dtype=np.float32) + 0.5)[None, :] / HEIGHT
        return self.plate[:, top:bottom, left:right], np.asarray(rows, np.float32), np.asarray(columns, np.float32)

    def _blend(self, part: Field, share: Field | float, material: Material, light: Field | float = 1.0) -> None:
        """Blend a material into a window; ``light`` scales the reflected channels, not the warmth."""
        part[:4] += share * (material[:4, None, None] * light - part[:4])
        part[4] += share * (material[4] - part[4])

    def box(
        self, x: float, y: float, w: float, h: float, material: Material, opacity: float = 1.0, relief: float = 0.12
    ) -> None:
        """Draw a rectangle, lighter at its upper edge and darker towards the lower one."""
        if found := self._window(x, y, w, h):
            part, rows, _ = found
            depth = (rows - y) / h
            light = 1 + relief * (0.5 - depth) + 1.5 * relief * (depth < 0.02 / h * 0.25) - relief * (depth > 0.96)
            self._blend(part, opacity, material, light.astype(np.float32))

    def shadow(self, x: float, y: float, w: float, h: float, depth: float = 0.45) -> None:
        """Draw a soft shadow, as under furniture."""
        if found := self._window(x - 0.3 * w, y - h, 1.6 * w, 2 * h):
            part, rows, columns = found
            far = ((columns - x - w / 2) / (0.62 * w)) ** 2 + ((rows - y) / h) ** 2
            part[:4] *= 1 - depth * falloff(2 * far)

    def blob(self, x: float, y: float, w: float, h: float, material: Material, relief: float = 0.5) -> None:
        """Draw an ellipse with a ragged outline, lit from above, such as foliage or a stone."""
        if found := self._window(x - 1.4 * w, y - 1.4 * h, 2.8 * w, 2.8 * h):
            part, rows, columns = found
            dy, dx = (rows - y) / h, (columns - x) / w
            leaves = wave(180 * columns + 6 * wave(95 * rows + 50 * x)) * wave(
                190 * rows + 5 * wave(88 * columns + 50 * y)
            )
            clump = wave(37 * columns + 4 * wave(29 * rows + 20 * y)) * wave(41 * rows + 20 * x)
            share = np.clip((1 - dx**2 - dy**2 + 0.55 * leaves + 0.35 * clump) * 4, 0, 1)
            light = 1 - relief * 0.45 * dy + relief * (0.4 * leaves + 0.5 * clump)
            self._blend(part, share.astype(np.float32), material, light.astype(np.float32))

    def line(self, start: tuple[float, float], end: tuple[float, float], thick: float, material: Material) -> None:
        """Draw a line with round ends."""
        (x0, y0), (x1, y1) = start, end
        low_x, low_y = min(x0, x1) - thick, min(y0, y1) - thick
        if found := self._window(low_x, low_y, abs(x1 - x0) + 2 * thick, abs(y1 - y0) + 2 * thick):
            part, rows, columns = found
            right, down = x1 - x0, y1 - y0
            along = ((columns - x0) * right + (rows - y0) * down) / (right * right + down * down)
            along = np.clip(along, 0, 1)
            away = _length(columns - x0 - along * right, rows - y0 - along * down)
            self._blend(part, np.clip((thick / 2 - away) * HEIGHT + 0.5, 0, 1).astype(np.float32), material)

    def ring(self, x: float, y: float, radius: float, thick: float, material: Material) -> None:
        """Draw a ring; a disc if ``thick`` equals the radius."""
        if found := self._window(x - radius, y - radius, 2 * radius, 2 * radius):
            part, rows, columns = found
            away = _length(columns - x, rows - y)
            share = np.clip((radius - away) * HEIGHT, 0, 1) * np.clip((away - radius + thick) * HEIGHT + 0.5, 0, 1)
            self._blend(part, share.astype(np.float32), material)

    def floor(self, y: float, material: Material, joint: Material, tile: float, width: float = 0.035) -> None:
        """Draw tiled ground below ``y`` in perspective."""
        if found := self._window(0, y, SPAN, 1 - y):
            part, rows, columns = found
            near = (rows - y + 0.12) / 0.12
            across = (columns - 0.7 * wave(1.3 * columns) * (rows - y)) / tile
            deep = 3.2 * logarithm(near.astype(np.float64)).astype(np.float32)
            seam = (np.minimum(remainder(across, 1), remainder(deep, 1)) < width).astype(np.float32)
            stone = self._tone(across, deep)
            light = (0.82 + 0.3 * (rows - y) / (1 - y) + 0.14 * (stone - 0.5)).astype(np.float32)
            self._blend(part, 1.0, material, light)
            self._blend(part, 0.7 * seam, joint)

    def bricks(self, y: float, h: float, material: Material, joint: Material, tall: float = 0.04) -> None:
        """Draw a wall of bricks with varying tone."""
        if found := self._window(0, y, SPAN, h):
            part, rows, columns = found
            row = np.floor(rows / tall)
            along = columns / (2.7 * tall) + 0.5 * remainder(row, 2)
            seam = ((remainder(rows / tall, 1) < 0.1) | (remainder(along, 1) < 0.045)).astype(np.float32)
            tone = self._tone(along, row)
            self._blend(part, 1.0, material, (0.82 + 0.36 * tone).astype(np.float32))
            self._blend(part, 0.8 * seam, joint)

    def _tone(self, across: Field, deep: Field) -> Field:
        """Return a random number from 0 to 1 per tile; tiles are the integer cells of the coordinates."""
        place = np.floor(across).astype(np.int64) * 31 + np.floor(deep).astype(np.int64) * 173
        return np.asarray(self.tones[place % len(self.tones)], np.float32)

    def mottle(self, strength: float, scales: tuple[int, ...] = (3, 9, 40), pools: float = 0.12) -> None:
        """Add dirt and wear, independent between visible, near infrared and warmth, and pools of light."""
        shape = self.plate.shape[1:]
        for channels in (slice(0, 3), slice(3, 4), slice(4, 5)):
            noise = sum(_smooth_noise(self.rng, shape, scale) for scale in scales) / len(scales)
            self.plate[channels] *= 1 + strength * noise
        self.plate[:4] *= 1 + pools * _smooth_noise(self.rng, shape, HEIGHT // 2)
        np.clip(self.plate, 0.0, 1.0, out=self.plate)


def _length(x: NDArray[Any], y: NDArray[Any]) -> Field:
    return np.asarray(np.sqrt(x * x + y * y), np.float32)


def _smooth_noise(rng: Draws, shape: tuple[int, ...], scale: int) -> Field:
    """Draw noise on a coarse grid and interpolate it linearly."""
    grid = np.float32(1.5) * rng.noise(*(size // scale + 2 for size in shape))
    for axis, size in enumerate(shape):
        cells = grid.shape[axis]
        place = np.maximum((np.arange(size) + 0.5) * (cells / size) - 0.5, 0)
        first = place.astype(np.int64)
        share = np.expand_dims((place - first).astype(np.float32), 1 - axis)
        low, high = (grid.take(np.minimum(first + step, cells - 1), axis) for step in (0, 1))
        grid = low + share * (high - low)
    return grid
