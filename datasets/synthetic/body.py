"""From a person and a moment of the walk to solid primitives.

Every part of the body, of the clothes and of the things carried is one primitive: a cone between two points with
balls at its ends, in a space squeezed along one axis. Balls, capsules, ellipsoids, trunks and skirts are special
cases, so that one intersection formula serves all. Lengths are metres. Body axes: x to the person's left, y up from
the ground, z forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets.synthetic.identity import Person, Region

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pose:
    """The moment, one entry an image.

    Attributes:
        azimuth: ``[B]`` heading in radians; 0 walks towards the camera.
        elevation: ``[B]`` how far the camera looks down, radians.
        phase: ``[B]`` phase of the gait cycle, radians.
        amplitude: ``[B]`` factor on stride and arm swing.
    """

    azimuth: Array
    elevation: Array
    phase: Array
    amplitude: Array


@dataclass(frozen=True, slots=True)
class Primitives:
    """Solids in camera axes (x right, y up, z towards the camera), for ``B`` images and ``K`` slots.

    Attributes:
        start: ``[B, K, 3]`` first end.
        end: ``[B, K, 3]`` second end.
        start_radius: ``[B, K]``; 0 where the slot is empty.
        end_radius: ``[B, K]``.
        axis: ``[B, K, 3]`` unit vector along which the solid is squeezed.
        squeeze: ``[B, K]`` its thickness along ``axis``, relative to the others.
        open_end: ``[K]`` no ball at the second end.
        trunk: ``[K]`` carries open fronts, blocks and prints.
        near: ``[B, K]`` region before ``cut``.
        far: ``[B, K]`` region beyond it.
        cut: ``[B, K]`` where the region changes, as a fraction of the way from start to end.
        forward: ``[B, 3]`` where the person looks.
        left: ``[B, 3]`` the person's left.
    """

    start: Tensor
    end: Tensor
    start_radius: Tensor
    end_radius: Tensor
    axis: Tensor
    squeeze: Tensor
    open_end: Tensor
    trunk: Tensor
    near: Tensor
    far: Tensor
    cut: Tensor
    forward: Tensor
    left: Tensor


@dataclass
class _Builder:
    """Collects slots in body axes."""

    count: int
    slots: list[tuple[Array, ...]] = field(default_factory=list)
    flags: list[tuple[bool, bool]] = field(default_factory=list)

    def add(
        self,
        start: Array,
        end: Array,
        radii: tuple[Array | float, Array | float],
        region: Array | Region,
        *,
        beyond: Region | None = None,
        cut: Array | float = 9.0,
        squeeze: Array | float = 1.0,
        axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
        when: Array | bool = True,
        open_end: bool = False,
        trunk: bool = False,
    ) -> None:
        """One slot for all images; empty where ``when`` is false."""

        def row(value: Array | float | bool | Region) -> Array:
            return np.broadcast_to(np.asarray(value, dtype=np.float64), (self.count,))

        present = row(when) > 0
        far = region if beyond is None else beyond
        direction = np.broadcast_to(np.asarray(axis), (self.count, 3))
        scalars = (row(radii[0]) * present, row(radii[1]) * present, row(squeeze), row(region), row(far), row(cut))
        self.slots.append((start, end, direction, *scalars))
        self.flags.append((open_end, trunk))


def columns(people: Sequence[Person], read: Callable[[Person], float]) -> Array:
    """One attribute of every person."""
    return np.array([read(person) for person in people], dtype=np.float64)


def build(people: Sequence[Person], pose: Pose) -> Primitives:
    """Primitives of each person at the given moment, as the camera sees them."""
    builder = _Builder(len(people))
    joints = _joints(people, pose)
    _trunk(builder, people, joints)
    _head(builder, people, joints)
    for side in (1.0, -1.0):
        _arm(builder, people, joints, side)
        _leg(builder, people, joints, side)
    _carried(builder, people, joints)
    return _to_camera(builder, pose)


def _vector(x: Array | float, y: Array | float, z: Array | float) -> Array:
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (x, y, z))), axis=-1)


def _joints(people: Sequence[Person], pose: Pose) -> dict[str, Array]:
    """Positions of the skeleton, with the lower foot on the ground."""
    stature = columns(people, lambda p: p.body.stature)
    legs = columns(people, lambda p: p.body.legs) * stature
    narrow = columns(people, lambda p: 1 - 0.45 * (p.outfit.hem > 0) * p.outfit.hem)
    stride = columns(people, lambda p: p.body.stride) * pose.amplitude * narrow
    swing = columns(people, lambda p: p.body.swing) * pose.amplitude
    lean = columns(people, lambda p: p.body.lean)
    joints: dict[str, Array] = {"stature": stature, "legs": legs}

    def along(origin: Array, angle: Array, length: Array) -> Array:
        return origin + _vector(0.0, -np.cos(angle) * length, np.sin(angle) * length)

    def up(origin: Array, height: Array, across: Array | float = 0.0) -> Array:
        return origin + _vector(across, np.cos(lean) * height, np.sin(lean) * height)

    pelvis = _vector(0.0, legs, 0.0)
    hips = columns(people, lambda p: p.body.hips) * stature
    shoulders = columns(people, lambda p: p.body.shoulders) * stature
    torso = 0.82 * stature - legs
    for side, name in ((1.0, "left"), (-1.0, "right")):
        phase = pose.phase + (0.0 if side > 0 else np.pi)
        thigh = stride * np.sin(phase)
        bend = 0.1 + 1.5 * stride * np.maximum(0.0, np.cos(phase)) ** 1.5
        joints[f"{name} hip"] = pelvis + _vector(side * hips * 0.58, 0.0, 0.0)
        joints[f"{name} knee"] = along(joints[f"{name} hip"], thigh, legs * 0.48)
        joints[f"{name} ankle"] = along(joints[f"{name} knee"], thigh - bend, legs * 0.44)
        pitch = np.pi / 2 + 0.7 * (thigh - bend + 0.1)
        joints[f"{name} toe"] = along(joints[f"{name} ankle"], pitch - 0.25, 0.1 * stature)
        arm = -swing * np.sin(phase)
        joints[f"{name} shoulder"] = up(pelvis, torso * 0.9, side * shoulders)
        spread = joints[f"{name} shoulder"] + _vector(side * 0.026 * stature, 0.0, 0.0)
        joints[f"{name} elbow"] = along(spread, arm, 0.175 * stature)
        joints[f"{name} wrist"] = along(joints[f"{name} elbow"], arm + 0.2 + 0.5 * np.maximum(0, arm), 0.15 * stature)
    joints["pelvis"] = pelvis
    joints["waist"] = up(pelvis, torso * 0.35)
    joints["chest"] = up(pelvis, torso * 0.74)
    joints["neck"] = up(pelvis, torso * 1.03)
    joints["head"] = up(pelvis, torso + 0.115 * stature) + _vector(0.0, 0.0, 0.012 * stature)
    ground = np.minimum(joints["left ankle"][:, 1], joints["right ankle"][:, 1]) - 0.042 * stature
    for name, point in joints.items():
        if point.ndim == 2:
            joints[name] = point - _vector(0.0, ground, 0.0)
    return joints


def _trunk(builder: _Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, girth = joints["stature"], columns(people, lambda p: p.body.girth)
    bulk = columns(people, lambda p: p.outfit.bulk)
    hips = (columns(people, lambda p: p.body.hips) * (0.6 + 0.4 * girth) + 0.01) * stature
    waist = (0.075 * girth + bulk) * stature
    chest = (columns(people, lambda p: p.body.shoulders) * 0.62 + 0.026 * girth + bulk) * stature
    deep = np.clip(0.5 + 0.2 * girth, 0.6, 0.85)
    down = _vector(0.0, stature * 0.03, 0.0)
    joints["depth"] = chest * deep
    builder.add(joints["pelvis"] - down * 0.3, joints["waist"], (hips, waist), Region.BOTTOM, beyond=Region.TOP,
                cut=0.35, squeeze=deep, trunk=True)  # fmt: skip
    builder.add(joints["waist"] - down, joints["chest"], (waist + bulk * stature, chest), Region.TOP, squeeze=deep, trunk=True)
    hem, flare = columns(people, lambda p: p.outfit.hem), columns(people, lambda p: p.outfit.flare)
    region = columns(people, lambda p: Region.TOP if p.outfit.hem_is_top else Region.BOTTOM)
    wide = (hips + (bulk + 0.008) * stature) * 1.03
    bottom = joints["pelvis"] - _vector(0.0, hem * joints["legs"], 0.0)
    top = joints["pelvis"] + _vector(0.0, 0.05 * stature, 0.0)
    builder.add(top, bottom, (wide * 0.95, wide * (1.05 + flare * (0.25 + 0.75 * hem))), region, squeeze=0.85,
                when=hem > 0, open_end=True, trunk=True)  # fmt: skip
    jacket = columns(people, lambda p: p.outfit.top in ("hoodie", "jacket", "shirt"))
    skirt = joints["pelvis"] - _vector(0.0, 0.045 * stature, 0.0)
    builder.add(joints["waist"], skirt, (waist + bulk * stature, wide), Region.TOP, squeeze=deep, when=jacket, open_end=True,
                trunk=True)  # fmt: skip


def _head(builder: _Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, head = joints["stature"], joints["head"]
    radius = columns(people, lambda p: p.body.head) * stature
    hair, volume = columns(people, lambda p: p.body.hair), columns(people, lambda p: p.body.volume)
    hat = [p.outfit.hat for p in people]
    worn = {kind: np.array([name == kind for name in hat], dtype=np.float64) for kind in ("beanie", "cap", "brim")}
    builder.add(joints["neck"], head, (0.032 * stature, 0.03 * stature), Region.SKIN)
    chin = head - _vector(0.0, radius * 0.35, -radius * 0.08)
    builder.add(head + _vector(0.0, radius * 0.25, 0.0), chin, (radius, radius * 0.78), Region.SKIN)
    crown = head + _vector(0.0, radius * 0.42, -radius * 0.28)
    builder.add(crown, crown - _vector(0.0, radius * 0.35, radius * 0.12), (radius * (0.92 + 0.14 * volume), radius * 0.98),
                Region.HAIR, when=hair > 0)  # fmt: skip
    tail = head - _vector(0.0, (hair - 1.0) * 0.24 * stature, radius * 0.75)
    builder.add(crown - _vector(0.0, radius * 0.3, radius * 0.2), tail, (radius * 0.95 * volume, radius * 0.75 * volume),
                Region.HAIR, squeeze=0.6, when=hair > 1.2)  # fmt: skip
    over = head + _vector(0.0, radius * 0.62, -radius * 0.08)
    any_hat = sum(worn.values(), np.zeros(len(people)))
    builder.add(over, over + _vector(0.0, radius * 0.3, -radius * 0.1), (radius * 1.14, radius * 0.98), Region.HAT, when=any_hat)
    visor = over + _vector(0.0, -radius * 0.12, radius * 0.8)
    flat = (0.0, 1.0, 0.0)
    builder.add(visor, visor + _vector(0.0, -radius * 0.15, radius * 0.5), (radius * 0.85, radius * 0.75), Region.HAT,
                squeeze=0.22, axis=flat, when=worn["cap"])  # fmt: skip
    builder.add(over, over, (radius * 2.0, radius * 2.0), Region.HAT, squeeze=0.14, axis=flat, when=worn["brim"])
    hood = columns(people, lambda p: p.outfit.hood)
    nape = joints["neck"] - _vector(0.0, 0.012 * stature, joints["depth"] * 0.75)
    builder.add(nape + _vector(0.035 * stature, 0, 0), nape - _vector(0.035 * stature, 0, 0), (0.05 * stature, 0.05 * stature),
                Region.TOP, when=hood)  # fmt: skip


def _arm(builder: _Builder, people: Sequence[Person], joints: dict[str, Array], side: float) -> None:
    name, stature = ("left" if side > 0 else "right"), joints["stature"]
    girth, bulk = columns(people, lambda p: 0.5 + 0.5 * p.body.girth), columns(people, lambda p: p.outfit.bulk)
    sleeves = columns(people, lambda p: p.outfit.sleeves)
    shoulder, elbow, wrist = (joints[f"{name} {part}"] for part in ("shoulder", "elbow", "wrist"))
    upper, fore = (sleeves > 0.3) * bulk * 0.8, (sleeves > 1.2) * (bulk * 0.8 + 0.002)
    builder.add(shoulder, elbow, ((0.036 * girth + upper) * stature, (0.026 * girth + upper) * stature), Region.TOP,
                beyond=Region.SKIN, cut=sleeves)  # fmt: skip
    builder.add(elbow, wrist, ((0.025 * girth + fore) * stature, (0.018 * girth + fore) * stature), Region.TOP,
                beyond=Region.SKIN, cut=sleeves - 1.0)  # fmt: skip
    collar = joints["neck"] - _vector(-side * 0.015 * stature, 0.022 * stature, 0.0)
    builder.add(collar, shoulder, ((0.034 * girth + bulk) * stature, (0.034 * girth + upper) * stature), Region.TOP)
    hand = wrist + (wrist - elbow) * 0.22
    builder.add(wrist, hand, (0.021 * stature, 0.019 * stature), Region.SKIN)
    joints[f"{name} hand"] = hand


def _leg(builder: _Builder, people: Sequence[Person], joints: dict[str, Array], side: float) -> None:
    name, stature = ("left" if side > 0 else "right"), joints["stature"]
    girth, loose = columns(people, lambda p: 0.45 + 0.55 * p.body.girth), columns(people, lambda p: p.outfit.loose)
    trousers = columns(people, lambda p: p.outfit.trousers)
    hip, knee, ankle, toe = (joints[f"{name} {part}"] for part in ("hip", "knee", "ankle", "toe"))
    wide, narrow = (trousers > 0) * (0.002 + 0.008 * loose), (trousers > 1.2) * (0.003 + 0.022 * loose)
    builder.add(hip, knee, ((0.054 * girth + wide) * stature, (0.036 * girth + wide) * stature), Region.BOTTOM,
                beyond=Region.SKIN, cut=trousers)  # fmt: skip
    builder.add(knee, ankle, ((0.035 * girth + wide) * stature, (0.023 * girth + narrow) * stature), Region.BOTTOM,
                beyond=Region.SKIN, cut=trousers - 1.0)  # fmt: skip
    heel = ankle + (ankle - toe) * 0.12 - _vector(0.0, 0.012 * stature, 0.0)
    builder.add(heel, toe, (0.026 * stature, 0.02 * stature), Region.SHOES)
    boots = columns(people, lambda p: p.outfit.boots)
    builder.add(ankle, ankle + 0.55 * (knee - ankle), ((0.027 * girth + narrow) * stature, (0.037 * girth + narrow) * stature),
                Region.SHOES, when=boots)  # fmt: skip


def _carried(builder: _Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, depth = joints["stature"], joints["depth"]
    size, side = columns(people, lambda p: p.outfit.bag_size), columns(people, lambda p: p.outfit.side)
    kind = {k: columns(people, lambda p, k=k: p.outfit.bag == k) for k in ("backpack", "shoulder", "hand")}  # type: ignore[misc]
    chest, hips = joints["chest"], columns(people, lambda p: p.body.hips) * stature
    back = chest - _vector(0.0, 0.0, depth + 0.045 * stature * size)
    tall = _vector(0.0, 0.075 * stature * size, 0.0)
    builder.add(back + tall * 0.7, back - tall * 1.3, (0.075 * stature * size, 0.09 * stature * size), Region.BAG, squeeze=0.75,
                when=kind["backpack"])  # fmt: skip
    thin = (0.012 * stature, 0.012 * stature)
    for across in (0.068, -0.068):
        upper = joints["neck"] + _vector(across * stature, -0.02 * stature, 0.0)
        front = chest + _vector(across * 1.1 * stature, 0.0, depth * 0.82)
        builder.add(upper, front, thin, Region.BAG, when=kind["backpack"])
        builder.add(front, front - _vector(0.0, 0.1 * stature, 0.02 * stature), thin, Region.BAG, when=kind["backpack"])
    hip = joints["pelvis"] + _vector(side * (hips + 0.05 * stature), 0.0, 0.0)
    builder.add(hip + tall * 0.3, hip - tall * 0.5, (0.065 * stature * size, 0.075 * stature * size), Region.BAG, squeeze=0.5,
                axis=(1.0, 0.0, 0.0), when=kind["shoulder"])  # fmt: skip
    opposite = joints["neck"] + _vector(-side * 0.055 * stature, -0.02 * stature, 0.0)
    for facing in (1.0, -1.0):
        middle = chest - _vector(-side * 0.02 * stature, 0.06 * stature, -facing * depth * 1.0)
        builder.add(opposite, middle, thin, Region.BAG, when=kind["shoulder"])
        builder.add(middle, hip + tall * 0.4, thin, Region.BAG, when=kind["shoulder"])
    hand = np.where(side[:, None] > 0, joints["left hand"], joints["right hand"])
    grip = hand - _vector(0.0, 0.03 * stature, 0.0)
    builder.add(grip - tall * 0.2, grip - tall * (0.4 + 0.6 * size[:, None]), (0.045 * stature * size, 0.075 * stature * size),
                Region.BAG, squeeze=0.45, axis=(1.0, 0.0, 0.0), when=kind["hand"])  # fmt: skip


def _to_camera(builder: _Builder, pose: Pose) -> Primitives:
    start, end, axis, ra, rb, squeeze, near, far, cut = (np.stack(column, axis=1) for column in zip(*builder.slots, strict=True))
    ca, sa = np.cos(pose.azimuth), np.sin(pose.azimuth)
    ce, se = np.cos(pose.elevation), np.sin(pose.elevation)
    zero = np.zeros_like(ca)
    turn = np.stack([ca, zero, sa, zero, zero + 1, zero, -sa, zero, ca], -1).reshape(-1, 3, 3)
    tilt = np.stack([zero + 1, zero, zero, zero, ce, -se, zero, se, ce], -1).reshape(-1, 3, 3)
    rotate = np.einsum("bij,bjk->bik", tilt, turn)

    def view(points: Array) -> Tensor:
        return torch.from_numpy(np.einsum("bij,b...j->b...i", rotate, points)).float()

    def tensor(values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).float()

    open_end, trunk = (torch.tensor(flag) for flag in zip(*builder.flags, strict=True))
    return Primitives(
        start=view(start), end=view(end), start_radius=tensor(ra), end_radius=tensor(rb), axis=view(axis),
        squeeze=tensor(squeeze), open_end=open_end, trunk=trunk, near=tensor(near).long(), far=tensor(far).long(),
        cut=tensor(cut), forward=tensor(rotate[:, :, 2]), left=tensor(rotate[:, :, 0]),
    )  # fmt: skip
