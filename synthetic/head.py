"""Head as solid primitives: skull, face, hair, hats, hoods, scarves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usvi_bench.synthetic.arithmetic import sine
from usvi_bench.synthetic.identity import Person, Region
from usvi_bench.synthetic.skeleton import Array, Pose, columns, vector
from usvi_bench.synthetic.solids import Builder, Part


class _Head:
    """Head builder: adds solids in head axes (left, up, forward), in units of half the head's height."""

    def __init__(self, builder: Builder, joints: dict[str, Array]) -> None:
        self.builder, self.axes = builder, joints["head axes"]
        self.centre, self.unit = joints["head"], joints["skull"]
        self.left = self.axes[:, 0]
        self.upright = self.axes[:, 1]

    def at(self, x: Array | float, y: Array | float, z: Array | float) -> Array:
        """Convert a point of the head to body axes."""
        local = vector(x, y, z) * np.ones((len(self.unit), 1))
        turned: Array = np.asarray(sum(self.axes[:, i] * local[:, i : i + 1] for i in range(3)))
        return np.asarray(self.centre + self.unit[:, None] * turned)

    def add(
        self, part: Part, start: Array, end: Array, radii: tuple[Array | float, Array | float], region: Region,
        **more: object,
    ) -> None:  # fmt: skip
        """Add a solid whose radii are in units of half the head's height."""
        scaled = (radii[0] * self.unit, radii[1] * self.unit)
        self.builder.add(part, start, end, scaled, region, **more)  # type: ignore[arg-type]


def add_head(builder: Builder, people: Sequence[Person], joints: dict[str, Array], pose: Pose) -> None:
    """Add all solids above the shoulders."""
    head = _Head(builder, joints)
    girth, stature = columns(people, lambda p: p.body.girth), joints["stature"]
    thick = (0.0265 + 0.008 * girth) * stature
    builder.add(Part.COLLAR, head.at(0, -0.45, -0.2), joints["neck"] - vector(0.0, 0.02 * stature, 0.0),
                (thick, thick * 1.12), Region.SKIN)  # fmt: skip
    wide = 0.94 + 0.1 * np.clip(girth - 1, -0.3, 0.6)
    head.add(Part.HEAD, head.at(0, 0.3, -0.22), head.at(0, 0.24, 0.12), (0.74, 0.72), Region.SKIN,
             squeeze=0.9 * wide, axis=head.left)  # fmt: skip
    head.add(Part.HEAD, head.at(0, 0.12, 0.2), head.at(0, -0.66, 0.44), (0.64, 0.29), Region.SKIN,
             squeeze=0.96 * wide, axis=head.left)  # fmt: skip
    head.add(Part.HEAD, head.at(0.26, -0.42, 0.14), head.at(-0.26, -0.42, 0.14), (0.34, 0.34), Region.SKIN,
             squeeze=0.96, axis=head.upright)  # fmt: skip
    head.add(Part.HEAD, head.at(0, 0.12, 0.8), head.at(0, -0.14, 0.93), (0.07, 0.12), Region.SKIN)
    for side in (1, -1):
        ear = head.at(side * 0.66 * wide, -0.02, -0.08)
        head.add(Part.HEAD, ear, ear, (0.2, 0.2), Region.SKIN, squeeze=0.42, axis=head.left)
    _hair(head, people, pose)
    _hat(head, people)
    _hood(head, people, joints)
    _scarf(builder, people, joints)


def _hair(head: _Head, people: Sequence[Person], pose: Pose) -> None:
    def style(*names: str) -> Array:
        return columns(people, lambda p: p.body.style in names)

    volume, length = columns(people, lambda p: p.body.volume - 0.95), columns(people, lambda p: p.body.hair - 1)
    fringe = columns(people, lambda p: p.body.fringe)
    covered = columns(people, lambda p: p.outfit.hat != "none" or p.outfit.hood == 2)
    loose, full, curls = style("bob", "long"), 1 - style("bald", "shaven"), style("curls")
    rise = 0.03 + 0.13 * volume + 0.2 * curls
    front = -0.1 + 0.1 * fringe
    head.add(Part.HAIR, head.at(0, 0.36, -0.3), head.at(0, 0.4, front), (0.74 + rise, 0.7 + 0.9 * rise), Region.HAIR,
             squeeze=0.88, axis=head.left, when=full * (1 - covered))  # fmt: skip
    short = style("short")
    back = 0.6 + 0.15 * volume + 0.1 * curls
    head.add(Part.HAIR, head.at(0, 0.2, -0.36), head.at(0, -0.22 - 0.12 * short, -0.4 + 0.04 * short),
             (back + 0.06, back - 0.06 - 0.14 * short),
             Region.HAIR, squeeze=0.96, axis=head.left, when=full)  # fmt: skip
    swing = 0.12 * sine(pose.phase)
    end = -0.55 - 2.6 * np.maximum(length, 0.0)
    head.add(Part.HAIR, head.at(0, 0.1, -0.4), head.at(swing, end, -0.62 + 0.12 * end), (0.74 + 0.15 * volume, 0.52),
             Region.HAIR, squeeze=0.62, axis=head.axes[:, 2], when=loose)  # fmt: skip
    for side in (1, -1):
        fall = head.at(side * 0.62, 0.75 * end, 0.05)
        head.add(Part.HAIR, head.at(side * 0.5, 0.35, -0.02), fall, (0.3 + 0.1 * volume, 0.2), Region.HAIR,
                 squeeze=0.9, axis=head.left, when=loose)  # fmt: skip
    top = np.where(volume > 0.2, 0.82, 0.05)
    bun = head.at(0, top, -0.98 + 0.3 * top)
    head.add(Part.HAIR, bun, bun, (0.36, 0.36), Region.HAIR, when=style("bun") * (1 - covered * (top > 0.5)))
    root = head.at(0, 0.28, -0.98)
    head.add(Part.HAIR, root, head.at(2.0 * swing, -1.3 - volume, -1.42), (0.24, 0.12), Region.HAIR, when=style("tail"))


def _hat(head: _Head, people: Sequence[Person]) -> None:
    def kind(*names: str) -> Array:
        return columns(people, lambda p: p.outfit.hat in names)

    head.add(Part.HAT, head.at(0, 0.56, -0.2), head.at(0, 0.24, -0.12), (0.66, 0.9), Region.HAT, squeeze=0.9,
             axis=head.left, when=kind("beanie"), open_end=True)  # fmt: skip
    rim = head.at(0, 0.32, -0.1)
    head.add(Part.HAT, rim, rim, (0.93, 0.93), Region.HAT, squeeze=0.2, axis=head.upright, when=kind("beanie"))
    head.add(Part.HAT, head.at(0, 0.48, -0.16), head.at(0, 0.3, -0.1), (0.72, 0.88), Region.HAT, squeeze=0.9,
             axis=head.left, when=kind("cap"), open_end=True)  # fmt: skip
    head.add(Part.HAT, head.at(0, 0.42, 0.35), head.at(0, 0.3, 1.05), (0.6, 0.48), Region.HAT, squeeze=0.13,
             axis=head.upright, when=kind("cap"))  # fmt: skip
    head.add(Part.HAT, head.at(0, 0.82, -0.1), head.at(0, 0.44, -0.08), (0.58, 0.8), Region.HAT, squeeze=0.92,
             axis=head.left, when=kind("brim"), open_end=True)  # fmt: skip
    disc = head.at(0, 0.44, -0.04)
    head.add(Part.HAT, disc, disc, (1.5, 1.5), Region.HAT, squeeze=0.07, axis=head.upright, when=kind("brim"))


def _hood(head: _Head, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, hood = joints["stature"], columns(people, lambda p: p.outfit.hood)
    head.add(Part.HAT, head.at(0, 0.3, -0.4), head.at(0, -0.85, -0.34), (1.0, 0.86), Region.TOP, squeeze=0.9,
             axis=head.left, when=hood == 2)  # fmt: skip
    nape = joints["neck"] - vector(0.0, 0.004 * stature, 0.036 * stature)
    across = vector(0.036 * stature, 0.0, 0.0)
    head.builder.add(Part.COLLAR, nape + across, nape - across, (0.027 * stature, 0.027 * stature), Region.TOP,
                     when=hood == 1)  # fmt: skip
    drop = nape - vector(0.0, 0.055 * stature, 0.012 * stature)
    head.builder.add(Part.COLLAR, nape, drop, (0.05 * stature, 0.024 * stature), Region.TOP, squeeze=0.6,
                     when=hood == 1)  # fmt: skip
    for side in (1, -1):
        front = joints["neck"] + vector(side * 0.026 * stature, -0.03 * stature, 0.035 * stature)
        head.builder.add(Part.COLLAR, nape + side * across, front, (0.024 * stature, 0.014 * stature), Region.TOP,
                         when=hood == 1)  # fmt: skip


def _scarf(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, worn = joints["stature"], columns(people, lambda p: p.outfit.scarf)
    side, depth = columns(people, lambda p: p.outfit.side), joints["chest_depth"]
    wrap = joints["neck"] + vector(0.0, 0.01 * stature, 0.006 * stature)
    builder.add(Part.COLLAR, wrap, wrap, (0.058 * stature, 0.058 * stature), Region.SCARF, squeeze=0.42,
                axis=(0.0, 0.94, -0.34), when=worn)  # fmt: skip
    knot = joints["collar"] + vector(side * 0.018 * stature, 0.0, 0.048 * stature)
    end = joints["chest"] + vector(side * 0.03 * stature, -0.06 * stature, depth)
    builder.add(Part.COLLAR, knot, end, (0.02 * stature, 0.026 * stature), Region.SCARF, squeeze=0.45, when=worn)
