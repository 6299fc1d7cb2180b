"""The places: two rooms, a gate, a garden, a cluttered passage, a street, each with things of its own."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.painter import SPAN, Painter

GREEN = (0.8, 1.0, 0.55)
WOOD = (1.15, 0.95, 0.7)


def room(paint: Painter) -> None:
    """Walls with skirting, doors, windows, shelves, desks, boards; tiles or planks on the floor."""
    rng = paint.rng
    ground = float(rng.uniform(0.58, 0.64))
    paint.box(0, 0, SPAN, ground, paint.surface(0.56, 0.04, (0.62, 0.68), (1.03, 1.0, 0.94)), relief=0.1)
    if rng.random() < 0.6:
        paint.box(0, 0.36, SPAN, ground - 0.36, paint.surface(0.42, 0.12, (0.54, 0.62)), relief=0.05)
    paint.floor(
        ground,
        paint.surface(0.36, 0.05, (0.46, 0.54), (1.05, 1.0, 0.92)),
        paint.surface(0.2),
        float(rng.uniform(0.14, 0.24)),
    )
    paint.box(0, ground - 0.028, SPAN, 0.028, paint.surface(0.3, 0.1, (0.4, 0.5)))
    x = 0.0
    while x < SPAN:
        width = float(rng.uniform(0.22, 0.5))
        _FURNITURE[int(rng.integers(len(_FURNITURE)))](paint, x, width, ground)
        x += width + float(rng.uniform(0.05, 0.3))
    paint.mottle(0.06)


def _door(paint: Painter, x: float, width: float, ground: float) -> None:
    width, leaf = min(width, 0.3), paint.surface(0.4, 0.15, (0.45, 0.65), WOOD)
    paint.box(x, 0.03, width, ground - 0.03, paint.surface(0.6, 0.1, (0.5, 0.7)))
    paint.box(x + 0.02, 0.05, width - 0.04, ground - 0.05, leaf, relief=0.2)
    for top, tall in ((0.09, 0.16), (0.29, ground - 0.36)):
        paint.box(x + 0.055, top, width - 0.11, tall, leaf * np.float32(0.86), relief=-0.25)
    paint.box(x + 0.032, 0.34, 0.022, 0.012, paint.surface(0.75, 0.05))


def _window(paint: Painter, x: float, width: float, ground: float) -> None:
    frame = paint.surface(0.7, 0.05, (0.6, 0.75))
    paint.box(x, 0.0, width, 0.36, frame)
    paint.box(
        x + 0.015, 0.0, width - 0.03, 0.335, paint.surface(0.85, 0.06, (0.35, 0.7), (0.95, 1.0, 1.05)), relief=-0.3
    )
    for slat in np.arange(0.0, paint.rng.uniform(0.05, 0.33), 0.022):
        paint.box(x + 0.015, slat, width - 0.03, 0.013, paint.surface(0.72, 0.05, (0.55, 0.7)), 0.85)
    paint.box(x + width / 2, 0.0, 0.012, 0.335, frame)
    paint.box(x - 0.015, 0.355, width + 0.03, 0.018, frame)
    for rib in np.arange(x + 0.03, x + width - 0.03, 0.028):
        paint.box(rib, ground - 0.16, 0.02, 0.11, paint.surface(0.62, 0.05, (0.55, 0.65), warm=0.8))


def _desk(paint: Painter, x: float, width: float, ground: float) -> None:
    width, wood = width + 0.12, paint.surface(0.42, 0.1, (0.5, 0.7), WOOD)
    paint.shadow(x, ground + 0.1, width, 0.05)
    paint.box(x, ground - 0.12, width, 0.022, wood)
    for leg in (x + 0.01, x + width - 0.03):
        paint.box(leg, ground - 0.1, 0.016, 0.2, wood * np.float32(0.7))
    paint.box(x + width * 0.6, ground - 0.098, width * 0.33, 0.15, wood * np.float32(0.85))
    for drawer in (0.05, 0.1):
        paint.box(x + width * 0.6, ground - 0.1 + drawer, width * 0.33, 0.004, wood * np.float32(0.5))
    screen = paint.surface(0.12, 0.1, (0.2, 0.45), warm=0.85)
    paint.box(x + 0.06, ground - 0.25, 0.15, 0.1, screen)
    paint.box(x + 0.068, ground - 0.242, 0.134, 0.084, screen * np.float32(1.8), relief=-0.6)
    paint.box(x + 0.127, ground - 0.15, 0.016, 0.03, screen)
    seat = paint.surface(0.22, 0.4, (0.3, 0.6))
    paint.box(x + 0.2, ground - 0.15, 0.1, 0.12, seat)
    paint.box(x + 0.19, ground + 0.0, 0.12, 0.025, seat)
    paint.line((x + 0.25, ground + 0.02), (x + 0.25, ground + 0.1), 0.014, seat * np.float32(0.6))
    paint.line((x + 0.2, ground + 0.12), (x + 0.3, ground + 0.12), 0.012, seat * np.float32(0.6))


def _shelf(paint: Painter, x: float, width: float, ground: float) -> None:
    rng, wood = paint.rng, paint.surface(0.38, 0.1, (0.45, 0.65), WOOD)
    top = float(rng.uniform(0.04, 0.2))
    paint.shadow(x, ground, width, 0.04)
    paint.box(x, top, width, ground - top, wood * np.float32(0.45))
    for board in np.arange(top, ground - 0.06, 0.115):
        book = x + 0.012
        while book < x + width - 0.03:
            thick, tall = float(rng.uniform(0.012, 0.034)), float(rng.uniform(0.06, 0.092))
            if rng.random() < 0.85:
                paint.box(book, board + 0.107 - tall, thick - 0.002, tall, paint.surface(rng.uniform(0.15, 0.6), 0.6))
            book += thick
        paint.box(x, board + 0.105, width, 0.012, wood)
    for side in (x, x + width - 0.01):
        paint.box(side, top, 0.01, ground - top, wood)


def _board(paint: Painter, x: float, width: float, ground: float) -> None:
    paint.box(x, 0.13, width, 0.24, paint.surface(0.3, 0.1, (0.4, 0.6), WOOD))
    paint.box(x + 0.012, 0.142, width - 0.024, 0.216, paint.surface(0.45, 0.4, (0.5, 0.7)), relief=0.05)
    for _ in range(int(width * 22)):
        left, top = paint.rng.uniform(x + 0.02, x + width - 0.08), paint.rng.uniform(0.15, 0.28)
        paint.box(left, top, 0.05, 0.065, paint.surface(0.75, 0.25, (0.6, 0.8)))


def _plant(paint: Painter, x: float, width: float, ground: float) -> None:
    paint.shadow(x, ground + 0.08, 0.14, 0.04)
    for _ in range(26):
        leaf = paint.surface(paint.rng.uniform(0.12, 0.32), 0.2, (0.6, 0.85), GREEN)
        paint.blob(x + 0.07 + paint.rng.normal(0, 0.05), ground - 0.14 + paint.rng.normal(0, 0.06), 0.035, 0.022, leaf)
    paint.box(x + 0.025, ground - 0.03, 0.09, 0.1, paint.surface(0.4, 0.2, (0.4, 0.6), (1.2, 0.8, 0.6)), relief=0.3)


_FURNITURE = (_door, _window, _desk, _shelf, _board, _plant, _desk)


def gate(paint: Painter) -> None:
    """A paved forecourt before columns, iron bars and the street beyond."""
    rng = paint.rng
    ground = float(rng.uniform(0.5, 0.56))
    paint.box(0, 0, SPAN, 0.4, paint.surface(0.72, 0.04, (0.6, 0.7), (0.95, 1.0, 1.06)), relief=-0.1)
    paint.box(0, 0.4, SPAN, 0.2, paint.surface(0.4, 0.05, (0.4, 0.6)))
    for _ in range(26):
        x, top = float(rng.uniform(0, SPAN)), float(rng.uniform(0.06, 0.3))
        _facade(paint, x, float(rng.uniform(0.25, 0.6)), top, ground, rng.uniform(0.35, 0.6))
    _crowns(paint, 60, (0.14, 0.46), (0.05, 0.11), (0.16, 0.36))
    paint.floor(ground, paint.surface(0.5, 0.05, (0.4, 0.6)), paint.surface(0.32), 0.2)
    x = 0.0
    while x < SPAN:
        stone, iron = (
            paint.surface(rng.uniform(0.4, 0.62), 0.05, colour=(1.04, 1.0, 0.93)),
            paint.surface(0.12, 0.1, (0.15, 0.4)),
        )
        paint.shadow(x, ground, 0.13, 0.05)
        for block in np.arange(0.06, ground, 0.07):
            paint.box(x, block, 0.13, 0.066, stone, relief=0.3)
        paint.box(x - 0.02, 0.03, 0.17, 0.035, stone)
        bars = float(rng.uniform(0.35, 0.9))
        for bar in np.arange(x + 0.15, x + bars, 0.045):
            paint.line((bar, 0.11), (bar, ground), 0.009, iron)
            paint.blob(bar, 0.105, 0.008, 0.014, iron)
        for rail in (0.15, 0.19, ground - 0.06):
            paint.box(x + 0.13, rail, bars - 0.13, 0.012, iron)
        if rng.random() < 0.5:
            _bicycle(paint, x + 0.2, ground + 0.03)
        x += bars + float(rng.uniform(0.0, 0.25))
    for post in np.arange(0.4, SPAN, 0.9):
        paint.shadow(post, ground + 0.16, 0.06, 0.03)
        paint.box(post, ground + 0.02, 0.045, 0.14, paint.surface(0.3, 0.3), relief=0.5)
    paint.mottle(0.07)


def _facade(paint: Painter, x: float, width: float, top: float, ground: float, level: float) -> None:
    """A house far off: a wall with rows of windows."""
    paint.box(x, top, width, ground - top, paint.surface(level, 0.1, (0.4, 0.7), (1.08, 1.0, 0.9)))
    for row in np.arange(top + 0.03, ground - 0.06, 0.085):
        for column in np.arange(x + 0.025, x + width - 0.05, 0.075):
            paint.box(column, row, 0.04, 0.052, paint.surface(0.2, 0.15, (0.2, 0.4), warm=0.65), relief=-0.5)


def _crowns(
    paint: Painter, count: int, y: tuple[float, float], size: tuple[float, float], level: tuple[float, float]
) -> None:
    """Foliage in depth: what is painted later is nearer, larger and brighter."""
    for index in range(count):
        near = index / count
        green = (level[0] + near * (level[1] - level[0])) * paint.rng.uniform(0.7, 1.3)
        leaf = paint.surface(green, 0.15, (0.5 + 0.15 * near, 0.7 + 0.2 * near), GREEN)
        wide = (size[0] + near * (size[1] - size[0])) * paint.rng.uniform(0.6, 1.3)
        paint.blob(paint.rng.uniform(0, SPAN), paint.rng.uniform(*y), wide, wide * 0.8, leaf)


def _bicycle(paint: Painter, x: float, y: float, radius: float = 0.068) -> None:
    tyre, frame = paint.surface(0.1, 0.05, (0.15, 0.35)), paint.surface(paint.rng.uniform(0.15, 0.5), 0.5)
    wire = paint.surface(0.4, 0.05)
    left, right, crank = (x, y), (x + 2.7 * radius, y), (x + 1.2 * radius, y)
    saddle, bar = (x + 0.9 * radius, y - 1.35 * radius), (x + 2.3 * radius, y - 1.45 * radius)
    paint.shadow(x - radius, y + radius, 4.7 * radius, 0.03)
    for hub in (left, right):
        paint.ring(*hub, radius, 0.01, tyre)
        for spoke in np.arange(0, np.pi, np.pi / 5):
            away = np.array([np.cos(spoke), np.sin(spoke)]) * radius
            paint.line((hub[0] - away[0], hub[1] - away[1]), (hub[0] + away[0], hub[1] + away[1]), 0.002, wire)
    for start, end in ((left, crank), (left, saddle), (crank, saddle), (crank, bar), (saddle, bar), (right, bar)):
        paint.line(start, end, 0.01, frame)
    paint.box(saddle[0] - 0.02, saddle[1] - 0.016, 0.045, 0.016, tyre)


def garden(paint: Painter) -> None:
    """Trees in depth, a hedge, grass and a path."""
    rng = paint.rng
    paint.box(0, 0, SPAN, 0.6, paint.surface(0.34, 0.05, (0.6, 0.7), (0.85, 1.0, 0.75)), relief=0)
    _crowns(paint, 110, (0.0, 0.5), (0.07, 0.13), (0.12, 0.26))
    for _ in range(20):
        x, thick = float(rng.uniform(0, SPAN)), float(rng.uniform(0.02, 0.06))
        bark = paint.surface(rng.uniform(0.12, 0.26), 0.1, (0.3, 0.5), WOOD)
        lean = float(rng.normal(0, 0.03))
        paint.line((x, 0.6), (x + lean, -0.05), thick, bark)
        paint.line((x + lean * 0.5, 0.26), (x + lean + 0.12 * np.sign(lean), 0.02), thick * 0.5, bark)
    _crowns(paint, 110, (-0.02, 0.36), (0.06, 0.13), (0.18, 0.44))
    _crowns(paint, 130, (0.44, 0.55), (0.05, 0.08), (0.16, 0.4))
    paint.box(0, 0.56, SPAN, 0.44, paint.surface(0.36, 0.05, (0.65, 0.8), GREEN), relief=0.1)
    for _ in range(900):
        x, y = float(rng.uniform(0, SPAN)), float(rng.uniform(0.56, 0.72))
        blade = paint.surface(rng.uniform(0.2, 0.5), 0.1, (0.6, 0.9), GREEN)
        paint.box(x, y, 0.005, 0.022, blade, 0.8)
    path = float(rng.uniform(0.68, 0.73))
    paint.floor(path, paint.surface(0.52, 0.06, (0.45, 0.55), (1.05, 1.0, 0.9)), paint.surface(0.36), 0.3)
    paint.box(0, path - 0.012, SPAN, 0.018, paint.surface(0.42, 0.05))
    for x in np.arange(0.8, SPAN, 1.9):
        wood = paint.surface(0.34, 0.1, (0.4, 0.6), WOOD)
        paint.shadow(x, path, 0.4, 0.04)
        for slat in (0.12, 0.155, 0.19):
            paint.box(x, path - slat, 0.4, 0.022, wood)
        for leg in (0.03, 0.36):
            paint.box(x + leg, path - 0.1, 0.018, 0.1, wood * np.float32(0.5))
    paint.mottle(0.13, (2, 5, 16))


def passage(paint: Painter) -> None:
    """A covered passage: bricks, shutters, pipes, and what people leave there."""
    rng = paint.rng
    ground = float(rng.uniform(0.58, 0.63))
    paint.bricks(0, ground, paint.surface(0.42, 0.1, (0.46, 0.54), (1.15, 0.95, 0.85)), paint.surface(0.5, 0.05))
    paint.floor(ground, paint.surface(0.38, 0.05, (0.4, 0.48)), paint.surface(0.25), 0.32, 0.02)
    for pipe in (0.05, 0.09):
        paint.box(0, pipe, SPAN, 0.018, paint.surface(0.45, 0.1, (0.3, 0.7), warm=0.8), relief=0.6)
    for x in np.arange(float(rng.uniform(0.1, 0.5)), SPAN, 1.1):
        _shutter(paint, float(x), float(rng.uniform(0.35, 0.55)), ground)
        paint.box(x + 0.75, 0.0, 0.022, ground, paint.surface(0.3, 0.1, (0.3, 0.6)), relief=0.1)
    x = 0.0
    while x < SPAN:
        kind, width = int(rng.integers(5)), float(rng.uniform(0.1, 0.24))
        deep = ground + float(rng.uniform(0.0, 0.06))
        if kind == 0:
            _bicycle(paint, x + 0.07, deep - 0.07, 0.07)
            width = 0.32
        elif kind == 1:
            _bin(paint, x, deep)
        elif kind < 4:
            _crates(paint, x, width, deep)
        x += width + float(rng.uniform(0.02, 0.18))
    paint.mottle(0.11, pools=0.16)


def _shutter(paint: Painter, x: float, width: float, ground: float) -> None:
    metal = paint.surface(paint.rng.uniform(0.25, 0.6), 0.25, (0.15, 0.85))
    paint.box(x - 0.015, 0.13, width + 0.03, ground - 0.13, metal * np.float32(0.6))
    for slat in np.arange(0.15, ground, 0.024):
        paint.box(x, slat, width, 0.021, metal, relief=0.4)


def _bin(paint: Painter, x: float, ground: float) -> None:
    plastic = paint.surface(paint.rng.uniform(0.12, 0.4), 0.6, (0.15, 0.7))
    paint.shadow(x, ground, 0.14, 0.05)
    paint.box(x, ground - 0.24, 0.14, 0.23, plastic, relief=0.35)
    paint.box(x - 0.01, ground - 0.26, 0.16, 0.03, plastic * np.float32(1.2))
    for wheel in (0.03, 0.11):
        paint.ring(x + wheel, ground - 0.01, 0.016, 0.016, plastic * np.float32(0.3))


def _crates(paint: Painter, x: float, width: float, ground: float) -> None:
    """A stack of boxes, taped or slatted."""
    rng, bottom = paint.rng, ground
    paint.shadow(x, ground, width, 0.05)
    for _ in range(int(rng.integers(1, 4))):
        tall, shift = float(rng.uniform(0.07, 0.15)), float(rng.uniform(-0.02, 0.02))
        board = paint.surface(rng.uniform(0.25, 0.55), 0.12, (0.2, 0.9), WOOD)
        paint.box(x + shift, bottom - tall, width, tall, board, relief=0.25)
        paint.box(x + shift + width * 0.44, bottom - tall, width * 0.12, tall, board * np.float32(1.2), 0.6)
        paint.box(x + shift, bottom - 0.004, width, 0.004, board * np.float32(0.4))
        bottom -= tall


def street(paint: Painter) -> None:
    """Fronts of houses and shops, parked cars, trees, a kerb and a pavement."""
    rng, x = paint.rng, 0.0
    while x < SPAN:
        width = float(rng.uniform(0.5, 1.1))
        paint.box(x, 0, width, 0.62, paint.surface(rng.uniform(0.4, 0.68), 0.1, colour=(1.06, 1.0, 0.9)))
        for column in np.arange(x + 0.06, x + width - 0.12, 0.2):
            for top, tall in ((-0.04, 0.12), (0.16, 0.14)):
                paint.box(column - 0.012, top - 0.012, 0.124, tall + 0.024, paint.surface(0.7, 0.05))
                paint.box(column, top, 0.1, tall, paint.surface(0.2, 0.15, warm=0.72), relief=-0.6)
                paint.box(column + 0.046, top, 0.008, tall, paint.surface(0.65, 0.05))
        if rng.random() < 0.5:
            paint.box(x + 0.05, 0.38, width - 0.1, 0.22, paint.surface(0.25, 0.3, warm=0.75), relief=-0.4)
            paint.box(x + 0.03, 0.34, width - 0.06, 0.05, paint.surface(0.5, 0.8), relief=0.4)
        paint.box(x + width - 0.01, 0, 0.012, 0.62, paint.surface(0.25))
        x += width
    paint.floor(0.6, paint.surface(0.4, 0.04, warm=0.55), paint.surface(0.36), 0.9, 0.01)
    for at in np.arange(0.2, SPAN, 0.85):
        if rng.random() < 0.7:
            _car(paint, float(at + rng.uniform(-0.1, 0.1)))
        elif rng.random() < 0.6:
            _bicycle(paint, float(at), 0.62)
    for trunk in rng.uniform(0, SPAN, 7):
        bark = paint.surface(0.2, 0.1, colour=WOOD, warm=0.4)
        paint.line((trunk, 0.66), (trunk, 0.1), 0.035, bark)
        for _ in range(9):
            leaf = paint.surface(rng.uniform(0.15, 0.36), 0.2, (0.6, 0.9), GREEN, warm=0.4)
            paint.blob(trunk + rng.normal(0, 0.07), 0.06 + rng.normal(0, 0.06), 0.07, 0.055, leaf)
    paint.box(0, 0.7, SPAN, 0.02, paint.surface(0.55, 0.05), relief=0.4)
    paint.floor(0.72, paint.surface(0.52, 0.05, warm=0.6), paint.surface(0.36), 0.22)
    paint.mottle(0.07)


def _car(paint: Painter, x: float) -> None:
    rng, length = paint.rng, 0.62
    body = paint.surface(rng.uniform(0.12, 0.75), 0.4, warm=rng.uniform(0.3, 0.8))
    dark = paint.surface(0.08, 0.05, (0.1, 0.3), warm=0.75)
    paint.shadow(x, 0.665, length, 0.03, 0.7)
    for offset, width, top in ((0.15, 0.33, 0.425), (0.18, 0.27, 0.405)):
        paint.box(x + offset, top, width, 0.1, body, relief=0.2)
    paint.box(x + 0.19, 0.425, 0.11, 0.055, dark * np.float32(2), relief=-0.6)
    paint.box(x + 0.32, 0.425, 0.11, 0.055, dark * np.float32(2), relief=-0.6)
    paint.box(x, 0.49, length, 0.13, body, relief=0.35)
    paint.box(x, 0.595, length, 0.025, dark, 0.6)
    paint.box(x + 0.005, 0.51, 0.03, 0.025, paint.surface(0.85, 0.05))
    for wheel in (0.13, length - 0.13):
        paint.ring(x + wheel, 0.62, 0.052, 0.052, dark)
        paint.ring(x + wheel, 0.62, 0.026, 0.026, paint.surface(0.55, 0.05, warm=0.6))


PLACES = {"room 1": room, "room 2": room, "gate": gate, "garden": garden, "passage": passage, "street": street}
