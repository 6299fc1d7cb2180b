"""Things in the places: furniture, foliage, houses, bicycles, bins, cars."""

from __future__ import annotations

import math

from usvi_bench.synthetic.arithmetic import cosine, sine
from usvi_bench.synthetic.painter import SPAN, Painter, steps

GREEN = (0.8, 1.0, 0.55)
WOOD = (1.15, 0.95, 0.7)


def door(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint a door with its frame."""
    width, leaf = min(width, 0.3), paint.surface(0.4, 0.15, (0.45, 0.65), WOOD)
    paint.box(x, 0.03, width, ground - 0.03, paint.surface(0.6, 0.1, (0.5, 0.7)))
    paint.box(x + 0.02, 0.05, width - 0.04, ground - 0.05, leaf, relief=0.2)
    for top, tall in ((0.09, 0.16), (0.29, ground - 0.36)):
        paint.box(x + 0.055, top, width - 0.11, tall, 0.86 * leaf, relief=-0.25)
    paint.box(x + 0.032, 0.34, 0.022, 0.012, paint.surface(0.75, 0.05))


def window(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint a window with blinds and a radiator below."""
    frame = paint.surface(0.7, 0.05, (0.6, 0.75))
    paint.box(x, 0.0, width, 0.36, frame)
    paint.box(
        x + 0.015, 0.0, width - 0.03, 0.335, paint.surface(0.85, 0.06, (0.35, 0.7), (0.95, 1.0, 1.05)), relief=-0.3
    )
    for slat in steps(0.0, paint.rng.uniform(0.05, 0.33), 0.022):
        paint.box(x + 0.015, slat, width - 0.03, 0.013, paint.surface(0.72, 0.05, (0.55, 0.7)), 0.85)
    paint.box(x + width / 2, 0.0, 0.012, 0.335, frame)
    paint.box(x - 0.015, 0.355, width + 0.03, 0.018, frame)
    for rib in steps(x + 0.03, x + width - 0.03, 0.028):
        paint.box(rib, ground - 0.16, 0.02, 0.11, paint.surface(0.62, 0.05, (0.55, 0.65), warm=0.8))


def desk(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint a desk with drawers, a screen and a chair."""
    width, wood = width + 0.12, paint.surface(0.42, 0.1, (0.5, 0.7), WOOD)
    paint.shadow(x, ground + 0.1, width, 0.05)
    paint.box(x, ground - 0.12, width, 0.022, wood)
    for leg in (x + 0.01, x + width - 0.03):
        paint.box(leg, ground - 0.1, 0.016, 0.2, 0.7 * wood)
    paint.box(x + width * 0.6, ground - 0.098, width * 0.33, 0.15, 0.85 * wood)
    for drawer in (0.05, 0.1):
        paint.box(x + width * 0.6, ground - 0.1 + drawer, width * 0.33, 0.004, 0.5 * wood)
    screen = paint.surface(0.12, 0.1, (0.2, 0.45), warm=0.85)
    paint.box(x + 0.06, ground - 0.25, 0.15, 0.1, screen)
    paint.box(x + 0.068, ground - 0.242, 0.134, 0.084, 1.8 * screen, relief=-0.6)
    paint.box(x + 0.127, ground - 0.15, 0.016, 0.03, screen)
    seat = paint.surface(0.22, 0.4, (0.3, 0.6))
    paint.box(x + 0.2, ground - 0.15, 0.1, 0.12, seat)
    paint.box(x + 0.19, ground + 0.0, 0.12, 0.025, seat)
    paint.line((x + 0.25, ground + 0.02), (x + 0.25, ground + 0.1), 0.014, 0.6 * seat)
    paint.line((x + 0.2, ground + 0.12), (x + 0.3, ground + 0.12), 0.012, 0.6 * seat)


def shelf(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint shelves full of books."""
    rng, wood = paint.rng, paint.surface(0.38, 0.1, (0.45, 0.65), WOOD)
    top = float(rng.uniform(0.04, 0.2))
    paint.shadow(x, ground, width, 0.04)
    paint.box(x, top, width, ground - top, 0.45 * wood)
    for board in steps(top, ground - 0.06, 0.115):
        book = x + 0.012
        while book < x + width - 0.03:
            thick, tall = float(rng.uniform(0.012, 0.034)), float(rng.uniform(0.06, 0.092))
            if rng.random() < 0.85:
                paint.box(book, board + 0.107 - tall, thick - 0.002, tall, paint.surface(rng.uniform(0.15, 0.6), 0.6))
            book += thick
        paint.box(x, board + 0.105, width, 0.012, wood)
    for side in (x, x + width - 0.01):
        paint.box(side, top, 0.01, ground - top, wood)


def board(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint a notice board."""
    paint.box(x, 0.13, width, 0.24, paint.surface(0.3, 0.1, (0.4, 0.6), WOOD))
    paint.box(x + 0.012, 0.142, width - 0.024, 0.216, paint.surface(0.45, 0.4, (0.5, 0.7)), relief=0.05)
    for _ in range(int(width * 22)):
        left, top = paint.rng.uniform(x + 0.02, x + width - 0.08), paint.rng.uniform(0.15, 0.28)
        paint.box(left, top, 0.05, 0.065, paint.surface(0.75, 0.25, (0.6, 0.8)))


def plant(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint a plant in a pot."""
    paint.shadow(x, ground + 0.08, 0.14, 0.04)
    for _ in range(26):
        leaf = paint.surface(paint.rng.uniform(0.12, 0.32), 0.2, (0.6, 0.85), GREEN)
        paint.blob(x + 0.07 + paint.rng.normal(0, 0.05), ground - 0.14 + paint.rng.normal(0, 0.06), 0.035, 0.022, leaf)
    paint.box(x + 0.025, ground - 0.03, 0.09, 0.1, paint.surface(0.4, 0.2, (0.4, 0.6), (1.2, 0.8, 0.6)), relief=0.3)


FURNITURE = (door, window, desk, shelf, board, plant, desk)


def facade(paint: Painter, x: float, width: float, top: float, ground: float, level: float) -> None:
    """Paint a distant house: a wall with rows of windows."""
    paint.box(x, top, width, ground - top, paint.surface(level, 0.1, (0.4, 0.7), (1.08, 1.0, 0.9)))
    for row in steps(top + 0.03, ground - 0.06, 0.085):
        for column in steps(x + 0.025, x + width - 0.05, 0.075):
            paint.box(column, row, 0.04, 0.052, paint.surface(0.2, 0.15, (0.2, 0.4), warm=0.65), relief=-0.5)


def crowns(
    paint: Painter, count: int, y: tuple[float, float], size: tuple[float, float], level: tuple[float, float]
) -> None:
    """Paint foliage from far to near; nearer leaves are larger and brighter."""
    for index in range(count):
        near = index / count
        green = (level[0] + near * (level[1] - level[0])) * paint.rng.uniform(0.7, 1.3)
        leaf = paint.surface(green, 0.15, (0.5 + 0.15 * near, 0.7 + 0.2 * near), GREEN)
        wide = (size[0] + near * (size[1] - size[0])) * paint.rng.uniform(0.6, 1.3)
        paint.blob(paint.rng.uniform(0, SPAN), paint.rng.uniform(*y), wide, wide * 0.8, leaf)


def bicycle(paint: Painter, x: float, y: float, radius: float = 0.068) -> None:
    """Paint a parked bicycle; ``x`` and ``y`` are the hub of its left wheel."""
    tyre, frame = paint.surface(0.1, 0.05, (0.15, 0.35)), paint.surface(paint.rng.uniform(0.15, 0.5), 0.5)
    wire = paint.surface(0.4, 0.05)
    left, right, crank = (x, y), (x + 2.7 * radius, y), (x + 1.2 * radius, y)
    saddle, bar = (x + 0.9 * radius, y - 1.35 * radius), (x + 2.3 * radius, y - 1.45 * radius)
    paint.shadow(x - radius, y + radius, 4.7 * radius, 0.03)
    for hub in (left, right):
        paint.ring(*hub, radius, 0.01, tyre)
        for spoke in steps(0, math.pi, math.pi / 5):
            away = (cosine(spoke) * radius, sine(spoke) * radius)
            paint.line((hub[0] - away[0], hub[1] - away[1]), (hub[0] + away[0], hub[1] + away[1]), 0.002, wire)
    for start, end in ((left, crank), (left, saddle), (crank, saddle), (crank, bar), (saddle, bar), (right, bar)):
        paint.line(start, end, 0.01, frame)
    paint.box(saddle[0] - 0.02, saddle[1] - 0.016, 0.045, 0.016, tyre)


def shutter(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint a roller shutter."""
    metal = paint.surface(paint.rng.uniform(0.25, 0.6), 0.25, (0.15, 0.85))
    paint.box(x - 0.015, 0.13, width + 0.03, ground - 0.13, 0.6 * metal)
    for slat in steps(0.15, ground, 0.024):
        paint.box(x, slat, width, 0.021, metal, relief=0.4)


def waste_bin(paint: Painter, x: float, ground: float) -> None:
    """Paint a bin on wheels."""
    plastic = paint.surface(paint.rng.uniform(0.12, 0.4), 0.6, (0.15, 0.7))
    paint.shadow(x, ground, 0.14, 0.05)
    paint.box(x, ground - 0.24, 0.14, 0.23, plastic, relief=0.35)
    paint.box(x - 0.01, ground - 0.26, 0.16, 0.03, 1.2 * plastic)
    for wheel in (0.03, 0.11):
        paint.ring(x + wheel, ground - 0.01, 0.016, 0.016, 0.3 * plastic)


def crates(paint: Painter, x: float, width: float, ground: float) -> None:
    """Paint a stack of taped boxes."""
    rng, bottom = paint.rng, ground
    paint.shadow(x, ground, width, 0.05)
    for _ in range(int(rng.integers(1, 4))):
        tall, shift = float(rng.uniform(0.07, 0.15)), float(rng.uniform(-0.02, 0.02))
        board = paint.surface(rng.uniform(0.25, 0.55), 0.12, (0.2, 0.9), WOOD)
        paint.box(x + shift, bottom - tall, width, tall, board, relief=0.25)
        paint.box(x + shift + width * 0.44, bottom - tall, width * 0.12, tall, 1.2 * board, 0.6)
        paint.box(x + shift, bottom - 0.004, width, 0.004, 0.4 * board)
        bottom -= tall


def car(paint: Painter, x: float) -> None:
    """Paint a parked car whose left end is at ``x``."""
    rng, length = paint.rng, 0.62
    body = paint.surface(rng.uniform(0.12, 0.75), 0.4, warm=rng.uniform(0.3, 0.8))
    dark = paint.surface(0.08, 0.05, (0.1, 0.3), warm=0.75)
    paint.shadow(x, 0.665, length, 0.03, 0.7)
    for offset, width, top in ((0.15, 0.33, 0.425), (0.18, 0.27, 0.405)):
        paint.box(x + offset, top, width, 0.1, body, relief=0.2)
    paint.box(x + 0.19, 0.425, 0.11, 0.055, 2 * dark, relief=-0.6)
    paint.box(x + 0.32, 0.425, 0.11, 0.055, 2 * dark, relief=-0.6)
    paint.box(x, 0.49, length, 0.13, body, relief=0.35)
    paint.box(x, 0.595, length, 0.025, dark, 0.6)
    paint.box(x + 0.005, 0.51, 0.03, 0.025, paint.surface(0.85, 0.05))
    for wheel in (0.13, length - 0.13):
        paint.ring(x + wheel, 0.62, 0.052, 0.052, dark)
        paint.ring(x + wheel, 0.62, 0.026, 0.026, paint.surface(0.55, 0.05, warm=0.6))
