"""Places behind the people: two rooms, a gate, a garden, a cluttered passage and a street."""

from __future__ import annotations

import math

from usvi_bench.synthetic.painter import SPAN, Painter, steps
from usvi_bench.synthetic.things import FURNITURE, GREEN, WOOD, bicycle, car, crates, crowns, facade, shutter, waste_bin


def room(paint: Painter) -> None:
    """Paint a room: walls, doors, windows, shelves, desks, boards and a tiled floor."""
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
        FURNITURE[rng.integers(len(FURNITURE))](paint, x, width, ground)
        x += width + float(rng.uniform(0.05, 0.3))
    paint.mottle(0.06)


def gate(paint: Painter) -> None:
    """Paint a paved forecourt in front of columns, iron bars and houses."""
    rng = paint.rng
    ground = float(rng.uniform(0.5, 0.56))
    paint.box(0, 0, SPAN, 0.4, paint.surface(0.72, 0.04, (0.6, 0.7), (0.95, 1.0, 1.06)), relief=-0.1)
    paint.box(0, 0.4, SPAN, 0.2, paint.surface(0.4, 0.05, (0.4, 0.6)))
    for _ in range(26):
        x, top = float(rng.uniform(0, SPAN)), float(rng.uniform(0.06, 0.3))
        facade(paint, x, float(rng.uniform(0.25, 0.6)), top, ground, rng.uniform(0.35, 0.6))
    crowns(paint, 60, (0.14, 0.46), (0.05, 0.11), (0.16, 0.36))
    paint.floor(ground, paint.surface(0.5, 0.05, (0.4, 0.6)), paint.surface(0.32), 0.2)
    x = 0.0
    while x < SPAN:
        stone, iron = (
            paint.surface(rng.uniform(0.4, 0.62), 0.05, colour=(1.04, 1.0, 0.93)),
            paint.surface(0.12, 0.1, (0.15, 0.4)),
        )
        paint.shadow(x, ground, 0.13, 0.05)
        for block in steps(0.06, ground, 0.07):
            paint.box(x, block, 0.13, 0.066, stone, relief=0.3)
        paint.box(x - 0.02, 0.03, 0.17, 0.035, stone)
        bars = float(rng.uniform(0.35, 0.9))
        for bar in steps(x + 0.15, x + bars, 0.045):
            paint.line((bar, 0.11), (bar, ground), 0.009, iron)
            paint.blob(bar, 0.105, 0.008, 0.014, iron)
        for rail in (0.15, 0.19, ground - 0.06):
            paint.box(x + 0.13, rail, bars - 0.13, 0.012, iron)
        if rng.random() < 0.5:
            bicycle(paint, x + 0.2, ground + 0.03)
        x += bars + float(rng.uniform(0.0, 0.25))
    for post in steps(0.4, SPAN, 0.9):
        paint.shadow(post, ground + 0.16, 0.06, 0.03)
        paint.box(post, ground + 0.02, 0.045, 0.14, paint.surface(0.3, 0.3), relief=0.5)
    paint.mottle(0.07)


def garden(paint: Painter) -> None:
    """Paint a garden: trees at several depths, a hedge, grass, a path and benches."""
    rng = paint.rng
    paint.box(0, 0, SPAN, 0.6, paint.surface(0.34, 0.05, (0.6, 0.7), (0.85, 1.0, 0.75)), relief=0)
    crowns(paint, 110, (0.0, 0.5), (0.07, 0.13), (0.12, 0.26))
    for _ in range(20):
        x, thick = float(rng.uniform(0, SPAN)), float(rng.uniform(0.02, 0.06))
        bark = paint.surface(rng.uniform(0.12, 0.26), 0.1, (0.3, 0.5), WOOD)
        lean = float(rng.normal(0, 0.03))
        paint.line((x, 0.6), (x + lean, -0.05), thick, bark)
        paint.line((x + lean * 0.5, 0.26), (x + lean + math.copysign(0.12, lean), 0.02), thick * 0.5, bark)
    crowns(paint, 110, (-0.02, 0.36), (0.06, 0.13), (0.18, 0.44))
    crowns(paint, 130, (0.44, 0.55), (0.05, 0.08), (0.16, 0.4))
    paint.box(0, 0.56, SPAN, 0.44, paint.surface(0.36, 0.05, (0.65, 0.8), GREEN), relief=0.1)
    for _ in range(900):
        x, y = float(rng.uniform(0, SPAN)), float(rng.uniform(0.56, 0.72))
        blade = paint.surface(rng.uniform(0.2, 0.5), 0.1, (0.6, 0.9), GREEN)
        paint.box(x, y, 0.005, 0.022, blade, 0.8)
    path = float(rng.uniform(0.68, 0.73))
    paint.floor(path, paint.surface(0.52, 0.06, (0.45, 0.55), (1.05, 1.0, 0.9)), paint.surface(0.36), 0.3)
    paint.box(0, path - 0.012, SPAN, 0.018, paint.surface(0.42, 0.05))
    for x in steps(0.8, SPAN, 1.9):
        wood = paint.surface(0.34, 0.1, (0.4, 0.6), WOOD)
        paint.shadow(x, path, 0.4, 0.04)
        for slat in (0.12, 0.155, 0.19):
            paint.box(x, path - slat, 0.4, 0.022, wood)
        for leg in (0.03, 0.36):
            paint.box(x + leg, path - 0.1, 0.018, 0.1, 0.5 * wood)
    paint.mottle(0.13, (2, 5, 16))


def passage(paint: Painter) -> None:
    """Paint a covered passage: bricks, shutters, pipes, bicycles, bins and crates."""
    rng = paint.rng
    ground = float(rng.uniform(0.58, 0.63))
    paint.bricks(0, ground, paint.surface(0.42, 0.1, (0.46, 0.54), (1.15, 0.95, 0.85)), paint.surface(0.5, 0.05))
    paint.floor(ground, paint.surface(0.38, 0.05, (0.4, 0.48)), paint.surface(0.25), 0.32, 0.02)
    for pipe in (0.05, 0.09):
        paint.box(0, pipe, SPAN, 0.018, paint.surface(0.45, 0.1, (0.3, 0.7), warm=0.8), relief=0.6)
    for x in steps(float(rng.uniform(0.1, 0.5)), SPAN, 1.1):
        shutter(paint, float(x), float(rng.uniform(0.35, 0.55)), ground)
        paint.box(x + 0.75, 0.0, 0.022, ground, paint.surface(0.3, 0.1, (0.3, 0.6)), relief=0.1)
    x = 0.0
    while x < SPAN:
        kind, width = int(rng.integers(5)), float(rng.uniform(0.1, 0.24))
        deep = ground + float(rng.uniform(0.0, 0.06))
        if kind == 0:
            bicycle(paint, x + 0.07, deep - 0.07, 0.07)
            width = 0.32
        elif kind == 1:
            waste_bin(paint, x, deep)
        elif kind < 4:
            crates(paint, x, width, deep)
        x += width + float(rng.uniform(0.02, 0.18))
    paint.mottle(0.11, pools=0.16)


def street(paint: Painter) -> None:
    """Paint a street: fronts of houses and shops, parked cars, trees, a kerb and a pavement."""
    rng, x = paint.rng, 0.0
    while x < SPAN:
        width = float(rng.uniform(0.5, 1.1))
        paint.box(x, 0, width, 0.62, paint.surface(rng.uniform(0.4, 0.68), 0.1, colour=(1.06, 1.0, 0.9)))
        for column in steps(x + 0.06, x + width - 0.12, 0.2):
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
    for at in steps(0.2, SPAN, 0.85):
        if rng.random() < 0.7:
            car(paint, float(at + rng.uniform(-0.1, 0.1)))
        elif rng.random() < 0.6:
            bicycle(paint, float(at), 0.62)
    for trunk in [rng.uniform(0, SPAN) for _ in range(7)]:
        bark = paint.surface(0.2, 0.1, colour=WOOD, warm=0.4)
        paint.line((trunk, 0.66), (trunk, 0.1), 0.035, bark)
        for _ in range(9):
            leaf = paint.surface(rng.uniform(0.15, 0.36), 0.2, (0.6, 0.9), GREEN, warm=0.4)
            paint.blob(trunk + rng.normal(0, 0.07), 0.06 + rng.normal(0, 0.06), 0.07, 0.055, leaf)
    paint.box(0, 0.7, SPAN, 0.02, paint.surface(0.55, 0.05), relief=0.4)
    paint.floor(0.72, paint.surface(0.52, 0.05, warm=0.6), paint.surface(0.36), 0.22)
    paint.mottle(0.07)


PLACES = {
    **{"room 1": room, "room 2": room, "gate": gate, "garden": garden, "passage": passage, "street": street},
    **{"room 3": room, "yard": garden, "arcade": passage},
}
