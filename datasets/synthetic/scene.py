"""The places behind the people, painted once each as a wide plate that every image shows a window of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets.synthetic.view import View
from engine.seeding import numpy_generator

HEIGHT, WIDTH = 256, 2048
"""Size of a plate; a box is about ``HEIGHT * 0.6`` high."""
CHANNELS = 5
"""Red, green, blue, near infrared, warmth."""

_Plate = NDArray[np.float32]


class _Painter:
    """A plate in the making; ``y`` runs from 0 at the top to 1, ``x`` from 0 to ``WIDTH / HEIGHT``."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.plate: _Plate = np.zeros((CHANNELS, HEIGHT, WIDTH), np.float32)

    def surface(
        self, level: float, tint: float = 0.15, near: tuple[float, float] = (0.12, 0.95)
    ) -> NDArray[np.float32]:
        """A random material around a visible level: five channels."""
        rgb = np.clip(level * np.exp(0.5 * self.rng.normal(0, tint, 3)), 0.02, 0.98)
        return np.array([*rgb, self.rng.uniform(*near), np.clip(self.rng.normal(0.5, 0.22), 0, 1)], np.float32)

    def box(self, x: float, y: float, w: float, h: float, material: NDArray[np.float32], opacity: float = 1.0) -> None:
        """A rectangle."""
        rows = slice(max(0, round(y * HEIGHT)), max(0, round((y + h) * HEIGHT)))
        columns = slice(max(0, round(x * HEIGHT)), max(0, round((x + w) * HEIGHT)))
        part = self.plate[:, rows, columns]
        part += opacity * (material[:, None, None] - part)

    def blob(self, x: float, y: float, w: float, h: float, material: NDArray[np.float32]) -> None:
        """An ellipse with a ragged outline."""
        rows = slice(max(0, int((y - 1.4 * h) * HEIGHT)), min(HEIGHT, int((y + 1.4 * h) * HEIGHT)))
        columns = slice(max(0, int((x - 1.4 * w) * HEIGHT)), min(WIDTH, int((x + 1.4 * w) * HEIGHT)))
        yy, xx = np.mgrid[rows, columns].astype(np.float32)
        dy, dx = (yy / HEIGHT - y) / h, (xx / HEIGHT - x) / w
        angle = np.arctan2(dy, dx)
        edge = 1 + 0.12 * np.sin(5 * angle + x * 40) + 0.1 * np.sin(11 * angle + y * 90)
        inside = dx**2 + dy**2 < edge
        self.plate[:, rows, columns] = np.where(inside, material[:, None, None], self.plate[:, rows, columns])

    def mottle(self, y: float, h: float, strength: float, scales: tuple[int, ...] = (4, 12, 40)) -> None:
        """Texture that differs between visible, near infrared and warmth."""
        rows = slice(round(y * HEIGHT), round((y + h) * HEIGHT))
        shape = self.plate[:, rows].shape[1:]
        for channels in (slice(0, 3), slice(3, 4), slice(4, 5)):
            noise = sum(_smooth_noise(self.rng, shape, scale) for scale in scales) / len(scales)
            self.plate[channels, rows] *= 1 + strength * noise
        np.clip(self.plate, 0.0, 1.0, out=self.plate)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], scale: int) -> NDArray[np.float32]:
    grid = torch.from_numpy(rng.normal(0, 1.5, (1, 1, shape[0] // scale + 2, shape[1] // scale + 2)).astype(np.float32))
    return torch.nn.functional.interpolate(grid, size=shape, mode="bilinear")[0, 0].numpy()


def _room(paint: _Painter) -> None:
    span, rng = WIDTH / HEIGHT, paint.rng
    paint.box(0, 0, span, 1, paint.surface(0.5, 0.1, (0.62, 0.72)))
    floor = rng.uniform(0.58, 0.66)
    paint.box(0, floor, span, 1, paint.surface(0.34, 0.12, (0.4, 0.6)))
    for line in np.arange(0, span, 0.17):
        paint.box(line, floor, 0.008, 1, paint.surface(0.25), 0.5)
    paint.box(0, floor - 0.03, span, 0.03, paint.surface(0.25))
    x = 0.0
    while x < span:
        width = rng.uniform(0.12, 0.5)
        kind = rng.integers(5)
        if kind == 0:
            paint.box(x, 0.15, width, floor - 0.15, paint.surface(rng.uniform(0.15, 0.5), 0.25))
            paint.box(x + 0.02, 0.19, width - 0.04, floor - 0.22, paint.surface(rng.uniform(0.2, 0.6), 0.25))
        elif kind == 1:
            paint.box(x, 0.0, width, 0.38, paint.surface(0.85, 0.05, (0.3, 0.9)))
            paint.box(x + width / 2, 0.0, 0.012, 0.38, paint.surface(0.3))
        elif kind == 2:
            paint.box(x, 0.42, width, 0.26, paint.surface(rng.uniform(0.1, 0.45), 0.3))
            paint.box(x + 0.03, 0.3, width * 0.5, 0.13, paint.surface(rng.uniform(0.05, 0.3), 0.2, (0.1, 0.5)))
        elif kind == 3:
            for shelf in np.arange(0.1, floor - 0.05, 0.11):
                for book in np.arange(x, x + width, 0.03):
                    paint.box(book, shelf, 0.026, 0.085, paint.surface(rng.uniform(0.1, 0.6), 0.5))
        x += width + rng.uniform(0.02, 0.25)
    paint.mottle(0, 1, 0.13)


def _gate(paint: _Painter) -> None:
    span, rng = WIDTH / HEIGHT, paint.rng
    paint.box(0, 0, span, 0.5, paint.surface(0.62, 0.06))
    ground = rng.uniform(0.5, 0.58)
    paint.box(0, 0.2, span, ground - 0.2, paint.surface(0.4, 0.12))
    paint.box(0, ground, span, 1, paint.surface(0.46, 0.05))
    x = 0.0
    while x < span:
        if rng.random() < 0.5:
            paint.box(x, 0.05, 0.13, ground - 0.05, paint.surface(rng.uniform(0.25, 0.6), 0.2))
            paint.box(x - 0.02, 0.03, 0.17, 0.03, paint.surface(0.3))
        bars = rng.uniform(0.3, 0.9)
        for bar in np.arange(x + 0.15, x + bars, 0.05):
            paint.box(bar, 0.12, 0.014, ground - 0.13, paint.surface(0.14, 0.1))
        paint.box(x + 0.13, 0.14, bars - 0.13, 0.02, paint.surface(0.14))
        x += bars + rng.uniform(0.0, 0.2)
    for slab in np.arange(0, span, 0.21):
        paint.box(slab, ground, 0.008, 1, paint.surface(0.3), 0.6)
    paint.box(0, 0.78, span, 0.012, paint.surface(0.3), 0.6)
    paint.mottle(0, 1, 0.1)


def _garden(paint: _Painter) -> None:
    span, rng = WIDTH / HEIGHT, paint.rng
    paint.box(0, 0, span, 0.6, np.array([0.3, 0.42, 0.28, 0.6, 0.5], np.float32))
    for _ in range(260):
        green = rng.uniform(0.1, 0.5)
        leaf = np.array(
            [green * rng.uniform(0.6, 1.0), green, green * rng.uniform(0.45, 0.8), rng.uniform(0.5, 0.9), rng.random()]
        )
        paint.blob(
            rng.uniform(0, span),
            rng.uniform(0, 0.52),
            rng.uniform(0.03, 0.14),
            rng.uniform(0.03, 0.1),
            leaf.astype(np.float32),
        )
    for _ in range(14):
        paint.box(
            rng.uniform(0, span), 0.0, rng.uniform(0.03, 0.07), 0.6, np.array([0.2, 0.15, 0.1, 0.3, 0.4], np.float32)
        )
    paint.box(0, 0.56, span, 0.16, np.array([0.3, 0.38, 0.22, 0.75, 0.45], np.float32))
    paint.box(0, 0.68, span, 1, np.array([0.5, 0.46, 0.4, 0.5, 0.55], np.float32))
    paint.mottle(0, 1, 0.22, (3, 7, 20))


def _passage(paint: _Painter) -> None:
    span, rng = WIDTH / HEIGHT, paint.rng
    paint.box(0, 0, span, 1, paint.surface(0.45, 0.1, (0.45, 0.62)))
    for row, y in enumerate(np.arange(0, 0.6, 0.045)):
        for x in np.arange(-(row % 2) * 0.06, span, 0.12):
            paint.box(x, y, 0.112, 0.04, paint.surface(rng.uniform(0.3, 0.5), 0.1, (0.4, 0.62)))
    paint.box(0, 0.6, span, 1, paint.surface(0.35, 0.05, (0.42, 0.5)))
    for _ in range(46):
        x, w, h = rng.uniform(0, span), rng.uniform(0.03, 0.3), rng.uniform(0.08, 0.5)
        paint.box(x, 0.66 - h, w, h, paint.surface(rng.uniform(0.1, 0.6), 0.3, (0.12, 0.85)))
        paint.box(
            x + w * 0.2, 0.66 - h * 0.8, w * 0.5, h * 0.3, paint.surface(rng.uniform(0.1, 0.6), 0.3, (0.12, 0.85))
        )
    paint.mottle(0, 1, 0.14)


def _street(paint: _Painter) -> None:
    span, rng = WIDTH / HEIGHT, paint.rng
    x = 0.0
    while x < span:
        width = rng.uniform(0.5, 1.2)
        paint.box(x, 0, width, 0.62, paint.surface(rng.uniform(0.3, 0.65), 0.15))
        for window in np.arange(x + 0.06, x + width - 0.12, 0.22):
            paint.box(window, 0.06, 0.12, 0.22, paint.surface(rng.uniform(0.1, 0.35)))
        x += width
    paint.box(0, 0.6, span, 1, paint.surface(0.42, 0.05))
    for _ in range(12):
        x, colour = rng.uniform(0, span), paint.surface(rng.uniform(0.15, 0.7), 0.25)
        paint.box(x, 0.47, 0.55, 0.15, colour)
        paint.box(x + 0.1, 0.39, 0.33, 0.09, paint.surface(0.2))
    paint.box(0, 0.72, span, 0.02, paint.surface(0.6))
    paint.mottle(0, 1, 0.12)


_PLACES = {"room 1": _room, "room 2": _room, "gate": _gate, "garden": _garden, "passage": _passage, "street": _street}


@lru_cache(maxsize=8)
def plate(seed: int, place: str) -> Tensor:
    """``[5, HEIGHT, WIDTH]`` picture of a place: red, green, blue, near infrared, warmth."""
    paint = _Painter(numpy_generator(seed, "place", place))
    _PLACES[place](paint)
    return torch.from_numpy(paint.plate)


def windows(picture: Tensor, views: Sequence[View], height: int) -> Tensor:
    """``[B, 5, height, height // 2]`` what each view shows of a place."""
    width = height // 2
    rows = (torch.arange(height) + 0.5) / height - 0.5
    columns = (torch.arange(width) + 0.5) / width - 0.5
    grids = []
    for view in views:
        tall = 0.62 / view.place_zoom
        wide = tall / 2 * HEIGHT / WIDTH
        y = 0.56 + 0.12 / view.place_zoom - 0.12 + view.place_y * tall + rows * tall
        x = wide + view.place_x * (1 - 2 * wide) + columns * wide * (-1 if view.mirrored else 1)
        grids.append(torch.stack(torch.meshgrid(y * 2 - 1, x * 2 - 1, indexing="ij")[::-1], dim=-1))
    whole = picture.unsqueeze(0).expand(len(views), -1, -1, -1)
    return torch.nn.functional.grid_sample(whole, torch.stack(grids), padding_mode="reflection", align_corners=False)
