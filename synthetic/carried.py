"""Bags as solid primitives. Straps over the trunk are painted on its surface instead, see ``details``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usvi_bench.synthetic.identity import Person, Region
from usvi_bench.synthetic.skeleton import Array, columns, vector
from usvi_bench.synthetic.solids import Builder, Part

_SIDEWAYS = (1.0, 0.0, 0.0)


def add_bags(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    """Add the bag of each person."""
    _backpack(builder, people, joints)
    _shoulder_bag(builder, people, joints)
    _hand_bag(builder, people, joints)


def _backpack(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, depth, chest = joints["stature"], joints["chest_depth"], joints["chest"]
    worn = columns(people, lambda p: p.outfit.bag == "backpack")
    size = columns(people, lambda p: p.outfit.bag_size) * stature
    back = chest - vector(0.0, 0.02 * stature, depth + 0.026 * size)
    across = vector(0.03 * size, 0.0, 0.0)
    top, bottom = back + vector(0.0, 0.045 * size, 0.0), back - vector(0.0, 0.085 * size, 0.0)
    for side in (1, -1):
        builder.add(Part.BAG, top + side * across, bottom + 1.2 * side * across, (0.05 * size, 0.056 * size),
                    Region.BAG, squeeze=0.85, when=worn)  # fmt: skip
    builder.add(Part.BAG, top, bottom, (0.058 * size, 0.066 * size), Region.BAG, squeeze=0.85, when=worn)
    pocket = back - vector(0.0, 0.045 * size, 0.042 * size)
    builder.add(Part.BAG, pocket + across, pocket - across, (0.044 * size, 0.044 * size), Region.BAG, squeeze=0.45,
                when=worn)  # fmt: skip


def _shoulder_bag(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature = joints["stature"]
    worn, side = columns(people, lambda p: p.outfit.bag == "shoulder"), columns(people, lambda p: p.outfit.side)
    size = columns(people, lambda p: p.outfit.bag_size) * stature
    reach = joints["hip_width"] + 0.022 * size
    centre = joints["pelvis"] + vector(side * reach, 0.005 * stature, -0.012 * stature)
    tall = vector(0.0, 0.03 * size, 0.0)
    builder.add(Part.BAG, centre + tall, centre - tall, (0.05 * size, 0.058 * size), Region.BAG, squeeze=0.42,
                axis=_SIDEWAYS, when=worn)  # fmt: skip
    flap = centre + 0.8 * tall + vector(side * 0.006 * size, 0.0, 0.0)
    builder.add(Part.BAG, flap, flap - tall, (0.051 * size, 0.048 * size), Region.BAG, squeeze=0.45, axis=_SIDEWAYS,
                when=worn)  # fmt: skip


def _hand_bag(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, side = joints["stature"], columns(people, lambda p: p.outfit.side)
    worn, scale = columns(people, lambda p: p.outfit.bag == "hand"), columns(people, lambda p: p.outfit.bag_size)
    size = scale * stature
    hand = np.where(side[:, None] > 0, joints["left hand"], joints["right hand"])
    along, tall = vector(0.0, 0.0, 0.05 * size), vector(0.0, 0.04 * size, 0.0)
    centre = hand - vector(0.0, 0.05 * stature, 0.0) - 2.1 * tall
    builder.add(Part.BAG, centre + 0.6 * tall, centre - 0.7 * tall, (0.056 * size, 0.07 * size), Region.BAG,
                squeeze=0.42, axis=_SIDEWAYS, when=worn)  # fmt: skip
    thin = (0.006 * stature, 0.006 * stature)
    for facing in (1.0, -1.0):
        builder.add(Part.STRAP, hand - vector(0.0, 0.012 * stature, 0.0), centre + 1.6 * tall + 0.6 * facing * along,
                    thin, Region.BAG, when=worn)  # fmt: skip
