"""From a person and a moment of the walk to solid primitives: body, clothes, things carried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datasets.synthetic.identity import Person, Region
from datasets.synthetic.skeleton import SIDES, Array, Pose, columns, joints_of, vector
from datasets.synthetic.solids import Builder, Primitives, to_camera

_SIDEWAYS = (1.0, 0.0, 0.0)
_STRAP = 0.012
"""Thickness of a strap, fraction of the stature."""


def build(people: Sequence[Person], pose: Pose) -> Primitives:
    """Primitives of each person at the given moment, as the camera sees them."""
    builder = Builder(len(people))
    joints = joints_of(people, pose)
    _trunk(builder, people, joints)
    _head(builder, people, joints)
    for name in SIDES:
        _arm(builder, people, joints, name)
        _leg(builder, people, joints, name)
    _backpack(builder, people, joints)
    _shoulder_bag(builder, people, joints)
    _hand_bag(builder, people, joints)
    return to_camera(builder, pose)


def _trunk(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, girth = joints["stature"], columns(people, lambda p: p.body.girth)
    bulk = columns(people, lambda p: p.outfit.bulk)
    hips = (columns(people, lambda p: p.body.hips) * (0.6 + 0.4 * girth) + 0.01) * stature
    waist = (0.075 * girth + bulk) * stature
    chest = (columns(people, lambda p: p.body.shoulders) * 0.62 + 0.026 * girth + bulk) * stature
    deep = np.clip(0.5 + 0.2 * girth, 0.6, 0.85)
    down = vector(0.0, stature * 0.03, 0.0)
    joints["depth"] = chest * deep
    builder.add(
        joints["pelvis"] - down * 0.3,
        joints["waist"],
        (hips, waist),
        Region.BOTTOM,
        beyond=Region.TOP,
        cut=0.35,
        squeeze=deep,
        trunk=True,
    )
    builder.add(
        joints["waist"] - down, joints["chest"], (waist + bulk * stature, chest), Region.TOP, squeeze=deep, trunk=True
    )
    _hems(builder, people, joints, hips, waist + bulk * stature, deep)


def _hems(
    builder: Builder, people: Sequence[Person], joints: dict[str, Array], hips: Array, waist: Array, deep: Array
) -> None:
    """What hangs open below the waist: coat, dress, skirt, or the end of a shirt."""
    stature, bulk = joints["stature"], columns(people, lambda p: p.outfit.bulk)
    hem, flare = columns(people, lambda p: p.outfit.hem), columns(people, lambda p: p.outfit.flare)
    region = columns(people, lambda p: Region.TOP if p.outfit.hem_is_top else Region.BOTTOM)
    wide = (hips + (bulk + 0.008) * stature) * 1.03
    bottom = joints["pelvis"] - vector(0.0, hem * joints["legs"], 0.0)
    top = joints["pelvis"] + vector(0.0, 0.05 * stature, 0.0)
    builder.add(
        top,
        bottom,
        (wide * 0.95, wide * (1.05 + flare * (0.25 + 0.75 * hem))),
        region,
        squeeze=0.85,
        when=hem > 0,
        open_end=True,
        trunk=True,
    )
    jacket = columns(people, lambda p: p.outfit.top in ("hoodie", "jacket", "shirt"))
    skirt = joints["pelvis"] - vector(0.0, 0.045 * stature, 0.0)
    builder.add(
        joints["waist"],
        skirt,
        (waist, wide),
        Region.TOP,
        squeeze=deep,
        when=jacket,
        open_end=True,
        trunk=True,
    )


def _head(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, head = joints["stature"], joints["head"]
    radius = columns(people, lambda p: p.body.head) * stature
    hair, volume = columns(people, lambda p: p.body.hair), columns(people, lambda p: p.body.volume)
    builder.add(joints["neck"], head, (0.032 * stature, 0.03 * stature), Region.SKIN)
    chin = head - vector(0.0, radius * 0.35, -radius * 0.08)
    builder.add(head + vector(0.0, radius * 0.25, 0.0), chin, (radius, radius * 0.78), Region.SKIN)
    crown = head + vector(0.0, radius * 0.42, -radius * 0.28)
    builder.add(
        crown,
        crown - vector(0.0, radius * 0.35, radius * 0.12),
        (radius * (0.92 + 0.14 * volume), radius * 0.98),
        Region.HAIR,
        when=hair > 0,
    )
    tail = head - vector(0.0, (hair - 1.0) * 0.24 * stature, radius * 0.75)
    builder.add(
        crown - vector(0.0, radius * 0.3, radius * 0.2),
        tail,
        (radius * 0.95 * volume, radius * 0.75 * volume),
        Region.HAIR,
        squeeze=0.6,
        when=hair > 1.2,
    )
    _hat(builder, people, head, radius)
    hood = columns(people, lambda p: p.outfit.hood)
    nape = joints["neck"] - vector(0.0, 0.012 * stature, joints["depth"] * 0.75)
    across = vector(0.035 * stature, 0.0, 0.0)
    builder.add(nape + across, nape - across, (0.05 * stature, 0.05 * stature), Region.TOP, when=hood)


def _hat(builder: Builder, people: Sequence[Person], head: Array, radius: Array) -> None:
    over = head + vector(0.0, radius * 0.62, -radius * 0.08)
    any_hat, cap, brim = (
        columns(people, lambda p, k=kinds: p.outfit.hat in k)  # type: ignore[misc]
        for kinds in (("beanie", "cap", "brim"), ("cap",), ("brim",))
    )
    builder.add(
        over, over + vector(0.0, radius * 0.3, -radius * 0.1), (radius * 1.14, radius * 0.98), Region.HAT, when=any_hat
    )
    visor = over + vector(0.0, -radius * 0.12, radius * 0.8)
    flat = (0.0, 1.0, 0.0)
    builder.add(
        visor,
        visor + vector(0.0, -radius * 0.15, radius * 0.5),
        (radius * 0.85, radius * 0.75),
        Region.HAT,
        squeeze=0.22,
        axis=flat,
        when=cap,
    )
    builder.add(over, over, (radius * 2.0, radius * 2.0), Region.HAT, squeeze=0.14, axis=flat, when=brim)


def _arm(builder: Builder, people: Sequence[Person], joints: dict[str, Array], name: str) -> None:
    stature = joints["stature"]
    girth, bulk = columns(people, lambda p: 0.5 + 0.5 * p.body.girth), columns(people, lambda p: p.outfit.bulk)
    sleeves = columns(people, lambda p: p.outfit.sleeves)
    shoulder, elbow, wrist = (joints[f"{name} {part}"] for part in ("shoulder", "elbow", "wrist"))
    upper, fore = (sleeves > 0.3) * bulk * 0.8, (sleeves > 1.2) * (bulk * 0.8 + 0.002)
    builder.add(
        shoulder,
        elbow,
        ((0.036 * girth + upper) * stature, (0.026 * girth + upper) * stature),
        Region.TOP,
        beyond=Region.SKIN,
        cut=sleeves,
    )
    builder.add(
        elbow,
        wrist,
        ((0.025 * girth + fore) * stature, (0.018 * girth + fore) * stature),
        Region.TOP,
        beyond=Region.SKIN,
        cut=sleeves - 1.0,
    )
    collar = joints["neck"] - vector(-SIDES[name] * 0.015 * stature, 0.022 * stature, 0.0)
    builder.add(collar, shoulder, ((0.034 * girth + bulk) * stature, (0.034 * girth + upper) * stature), Region.TOP)
    hand = wrist + (wrist - elbow) * 0.22
    builder.add(wrist, hand, (0.021 * stature, 0.019 * stature), Region.SKIN)
    joints[f"{name} hand"] = hand


def _leg(builder: Builder, people: Sequence[Person], joints: dict[str, Array], name: str) -> None:
    stature = joints["stature"]
    girth, loose = columns(people, lambda p: 0.45 + 0.55 * p.body.girth), columns(people, lambda p: p.outfit.loose)
    trousers = columns(people, lambda p: p.outfit.trousers)
    hip, knee, ankle, toe = (joints[f"{name} {part}"] for part in ("hip", "knee", "ankle", "toe"))
    wide, narrow = (trousers > 0) * (0.002 + 0.008 * loose), (trousers > 1.2) * (0.003 + 0.022 * loose)
    builder.add(
        hip,
        knee,
        ((0.054 * girth + wide) * stature, (0.036 * girth + wide) * stature),
        Region.BOTTOM,
        beyond=Region.SKIN,
        cut=trousers,
    )
    builder.add(
        knee,
        ankle,
        ((0.035 * girth + wide) * stature, (0.023 * girth + narrow) * stature),
        Region.BOTTOM,
        beyond=Region.SKIN,
        cut=trousers - 1.0,
    )
    heel = ankle + (ankle - toe) * 0.12 - vector(0.0, 0.012 * stature, 0.0)
    builder.add(heel, toe, (0.026 * stature, 0.02 * stature), Region.SHOES)
    boots = columns(people, lambda p: p.outfit.boots)
    builder.add(
        ankle,
        ankle + 0.55 * (knee - ankle),
        ((0.027 * girth + narrow) * stature, (0.037 * girth + narrow) * stature),
        Region.SHOES,
        when=boots,
    )


def _backpack(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, depth, chest = joints["stature"], joints["depth"], joints["chest"]
    worn = columns(people, lambda p: p.outfit.bag == "backpack")
    size = columns(people, lambda p: p.outfit.bag_size) * stature
    back = chest - vector(0.0, 0.0, depth + 0.045 * size)
    top, bottom = back + vector(0.0, 0.0525 * size, 0.0), back - vector(0.0, 0.0975 * size, 0.0)
    builder.add(top, bottom, (0.075 * size, 0.09 * size), Region.BAG, squeeze=0.75, when=worn)
    thin = (_STRAP * stature, _STRAP * stature)
    for across in (0.068, -0.068):
        upper = joints["neck"] + vector(across * stature, -0.02 * stature, 0.0)
        front = chest + vector(across * 1.1 * stature, 0.0, depth * 0.82)
        builder.add(upper, front, thin, Region.BAG, when=worn)
        builder.add(front, front - vector(0.0, 0.1 * stature, 0.02 * stature), thin, Region.BAG, when=worn)


def _shoulder_bag(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, depth = joints["stature"], joints["depth"]
    worn, side = columns(people, lambda p: p.outfit.bag == "shoulder"), columns(people, lambda p: p.outfit.side)
    size = columns(people, lambda p: p.outfit.bag_size) * stature
    hips = columns(people, lambda p: p.body.hips) * stature
    centre, tall = joints["pelvis"] + vector(side * (hips + 0.05 * stature), 0.0, 0.0), vector(0.0, 0.075 * size, 0.0)
    top, bottom = centre + tall * 0.3, centre - tall * 0.5
    builder.add(top, bottom, (0.065 * size, 0.075 * size), Region.BAG, squeeze=0.5, axis=_SIDEWAYS, when=worn)
    opposite = joints["neck"] + vector(-side * 0.055 * stature, -0.02 * stature, 0.0)
    thin = (_STRAP * stature, _STRAP * stature)
    for facing in (1.0, -1.0):
        middle = joints["chest"] - vector(-side * 0.02 * stature, 0.06 * stature, -facing * depth)
        builder.add(opposite, middle, thin, Region.BAG, when=worn)
        builder.add(middle, centre + tall * 0.4, thin, Region.BAG, when=worn)


def _hand_bag(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, side = joints["stature"], columns(people, lambda p: p.outfit.side)
    worn, scale = columns(people, lambda p: p.outfit.bag == "hand"), columns(people, lambda p: p.outfit.bag_size)
    size = scale * stature
    hand = np.where(side[:, None] > 0, joints["left hand"], joints["right hand"]) - vector(0.0, 0.03 * stature, 0.0)
    tall = vector(0.0, 0.075 * size, 0.0)
    top, bottom = hand - tall * 0.2, hand - tall * (0.4 + 0.6 * scale[:, None])
    builder.add(top, bottom, (0.045 * size, 0.075 * size), Region.BAG, squeeze=0.45, axis=_SIDEWAYS, when=worn)
