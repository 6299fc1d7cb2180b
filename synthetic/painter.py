"""Brushes for the places behind the people: boxes, blobs, lines and rings with light on them, floors in perspective.

Coordinates: ``y`` runs from 0 at the top of a plate to 1, ``x`` from 0 to ``WIDTH / HEIGHT``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

HEIGHT, WIDTH = 384, 3072
"""Size of a plate; a box around a person is about ``HEIGHT * 0.6`` high."""
SPAN = WIDTH / HEIGHT
CHANNELS = 5
"""Red, green, blue, near infrared, warmth."""

Material = NDArray[np.float32]
Field = NDArray[np.float32]


class Painter:
    """A plate in the making."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.plate: Field = np.zeros((CHANNELS, HEIGHT, WIDTH), np.float32)
        self.tones: Field = rng.random(1009, dtype=np.float32)

    def surface(
        self,
        level: float,
        tint: float = 0.15,
        near: tuple[float, float] = (0.3, 0.8),
        colour: tuple[float, float, float] = (1.0, 1.0, 1.0),
        warm: float = 0.5,
    ) -> Material:
        """A random material around a visible level, its near infrared and its warmth drawn apart from it."""
        rgb = np.clip(level * np.array(colour) * np.exp(0.5 * self.rng.normal(0, tint, 3)), 0.02, 0.98)
        return np.array([*rgb, self.rng.uniform(*near), np.clip(self.rng.normal(warm, 0.2), 0, 1)], np.float32)

    def _part(self, x: float, y: float, w: float, h: float) -> tuple[Field, Field, Field] | None:
        """A window of the plate, and the coordinates of its pixels; None outside of the plate."""
        top, bottom = max(0, round(y * HEIGHT)), min(HEIGHT, max(0, round((y + h) * HEIGHT)))
        left, right = max(0, round(x * HEIGHT)), min(WIDTH, max(0, round((x + w) * HEIGHT)))
        if top >= bottom or left >= right:
            return None
        rows = (np.arange(top, bottom, dtype=np.float32) + 0.5)[:, None] / HEIGHT
        columns = (np.arange(left, right, dtype=np.float32) + 0.5)[None, :] / HEIGHT
        return self.plate[:, top:bottom, left:right], np.asarray(rows, np.float32), np.asarray(columns, np.float32)

    def _lay(self, part: Field, share: Field | float, material: Material, light: Field | float = 1.0) -> None:
        """Cover a share of every pixel; light falls on what reflects, not on what is warm."""
        part[:4] += share * (material[:4, None, None] * light - part[:4])
        part[4] += share * (material[4] - part[4])

    def box(
        self, x: float, y: float, w: float, h: float, material: Material, opacity: float = 1.0, relief: float = 0.12
    ) -> None:
        """A rectangle, lighter at its upper edge, darker towards the lower one."""
        if found := self._part(x, y, w, h):
            part, rows, _ = found
            depth = (rows - y) / h
            light = 1 + relief * (0.5 - depth) + 1.5 * relief * (depth < 0.02 / h * 0.25) - relief * (depth > 0.96)
            self._lay(part, opacity, material, light.astype(np.float32))

    def shadow(self, x: float, y: float, w: float, h: float, depth: float = 0.45) -> None:
        """Darkness without a border, as under furniture."""
        if found := self._part(x - 0.3 * w, y - h, 1.6 * w, 2 * h):
            part, rows, columns = found
            far = ((columns - x - w / 2) / (0.62 * w)) ** 2 + ((rows - y) / h) ** 2
            part[:4] *= 1 - depth * np.exp(-2 * far)

    def blob(self, x: float, y: float, w: float, h: float, material: Material, relief: float = 0.5) -> None:
        """An ellipse with a ragged outline, lit from above: a crown of leaves, a stone."""
        if found := self._part(x - 1.4 * w, y - 1.4 * h, 2.8 * w, 2.8 * h):
            part, rows, columns = found
            dy, dx = (rows - y) / h, (columns - x) / w
            leaves = np.sin(180 * columns + 6 * np.sin(95 * rows + 50 * x)) * np.sin(
                190 * rows + 5 * np.sin(88 * columns + 50 * y)
            )
            clump = np.sin(37 * columns + 4 * np.sin(29 * rows + 20 * y)) * np.sin(41 * rows + 20 * x)
            share = np.clip((1 - dx**2 - dy**2 + 0.55 * leaves + 0.35 * clump) * 4, 0, 1)
            light = 1 - relief * 0.45 * dy + relief * (0.4 * leaves + 0.5 * clump)
            self._lay(part, share.astype(np.float32), material, light.astype(np.float32))

    def line(self, start: tuple[float, float], end: tuple[float, float], thick: float, material: Material) -> None:
        """A rod."""
        (x0, y0), (x1, y1) = start, end
        low_x, low_y = min(x0, x1) - thick, min(y0, y1) - thick
        if found := self._part(low_x, low_y, abs(x1 - x0) + 2 * thick, abs(y1 - y0) + 2 * thick):
            part, rows, columns = found
            along = ((columns - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
            along = np.clip(along, 0, 1)
            away = np.hypot(columns - x0 - along * (x1 - x0), rows - y0 - along * (y1 - y0))
            self._lay(part, np.clip((thick / 2 - away) * HEIGHT + 0.5, 0, 1).astype(np.float32), material)

    def ring(self, x: float, y: float, radius: float, thick: float, material: Material) -> None:
        """A wheel; a disc if ``thick`` is the radius."""
        if found := self._part(x - radius, y - radius, 2 * radius, 2 * radius):
            part, rows, columns = found
            away = np.hypot(columns - x, rows - y)
            share = np.clip((radius - away) * HEIGHT, 0, 1) * np.clip((away - radius + thick) * HEIGHT + 0.5, 0, 1)
            self._lay(part, share.astype(np.float32), material)

    def floor(self, y: float, material: Material, joint: Material, tile: float, width: float = 0.035) -> None:
        """Ground from ``y`` down in perspective: joints slant, and rows grow apart towards the viewer."""
        if found := self._part(0, y, SPAN, 1 - y):
            part, rows, columns = found
            near = (rows - y + 0.12) / 0.12
            across = (columns - 0.7 * np.sin(1.3 * columns) * (rows - y)) / tile
            deep = 3.2 * np.log(near)
            seam = (np.minimum(across % 1, deep % 1) < width).astype(np.float32)
            stone = self._tone(across, deep)
            light = (0.82 + 0.3 * (rows - y) / (1 - y) + 0.14 * (stone - 0.5)).astype(np.float32)
            self._lay(part, 1.0, material, light)
            self._lay(part, 0.7 * seam, joint)

    def bricks(self, y: float, h: float, material: Material, joint: Material, tall: float = 0.04) -> None:
        """A wall of bricks of unequal tone."""
        if found := self._part(0, y, SPAN, h):
            part, rows, columns = found
            row = np.floor(rows / tall)
            along = columns / (2.7 * tall) + 0.5 * (row % 2)
            seam = ((rows / tall % 1 < 0.1) | (along % 1 < 0.045)).astype(np.float32)
            tone = self._tone(along, row)
            self._lay(part, 1.0, material, (0.82 + 0.36 * tone).astype(np.float32))
            self._lay(part, 0.8 * seam, joint)

    def _tone(self, across: Field, deep: Field) -> Field:
        """A random number from 0 to 1 for every stone, whole parts of the coordinates."""
        place = np.floor(across).astype(np.int64) * 31 + np.floor(deep).astype(np.int64) * 173
        return np.asarray(self.tones[place % len(self.tones)], np.float32)

    def mottle(self, strength: float, scales: tuple[int, ...] = (3, 9, 40), pools: float = 0.12) -> None:
        """Dirt and wear that differ between visible, near infrared and warmth, and pools of light."""
        shape = self.plate.shape[1:]
        for channels in (slice(0, 3), slice(3, 4), slice(4, 5)):
            noise = sum(_smooth_noise(self.rng, shape, scale) for scale in scales) / len(scales)
            self.plate[channels] *= 1 + strength * noise
        self.plate[:4] *= 1 + pools * _smooth_noise(self.rng, shape, HEIGHT // 2)
        np.clip(self.plate, 0.0, 1.0, out=self.plate)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], scale: int) -> Field:
    grid = torch.from_numpy(rng.normal(0, 1.5, (1, 1, shape[0] // scale + 2, shape[1] // scale + 2)).astype(np.float32))
    return np.asarray(torch.nn.functional.interpolate(grid, size=shape, mode="bilinear")[0, 0].numpy(), np.float32)
