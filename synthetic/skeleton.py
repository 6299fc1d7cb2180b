"""Skeleton of a walking person.

Lengths are metres. Body axes: x to the person's left, y up from the ground, z forward. Proportions follow the
segment lengths of Winter, "Biomechanics and Motor Control of Human Movement", figure 4.1; joint angles over the gait
cycle its chapter on gait, smoothed to a few harmonics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usvi_bench.synthetic.arithmetic import cosine, power, sine
from usvi_bench.synthetic.identity import Person

Array = NDArray[np.float64]

SIDES = {"left": 1.0, "right": -1.0}


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of the person in each of ``B`` images.

    Attributes:
        azimuth: ``[B]`` heading in radians; 0 is towards the camera.
        elevation: ``[B]`` downward tilt of the camera in radians.
        phase: ``[B]`` phase of the gait cycle, radians.
        amplitude: ``[B]`` factor on stride and arm swing.
    """

    azimuth: Array
    elevation: Array
    phase: Array
    amplitude: Array


def columns(people: Sequence[Person], read: Callable[[Person], float]) -> Array:
    """Read one attribute of every person, ``[B]``."""
    return np.array([read(person) for person in people], dtype=np.float64)


def vector(x: Array | float, y: Array | float, z: Array | float) -> Array:
    """Make points ``[B, 3]`` from their coordinates."""
    points = np.empty((max(np.size(v) for v in (x, y, z)), 3))
    # Several times faster than broadcasting and stacking.
    points[:, 0], points[:, 1], points[:, 2] = x, y, z
    return points


def distance(a: Array, b: Array) -> Array:
    """Compute the distances ``[B]`` between points ``[B, 3]``."""
    x, y, z = (a - b).T
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def joints_of(people: Sequence[Person], pose: Pose) -> dict[str, Array]:
    """Compute the positions ``[B, 3]`` of the joints by name, with the lower foot on the ground.

    The result also holds the lengths ``stature``, ``legs`` and ``skull`` (half the height of the head), ``[B]``, and
    ``head axes``, ``[B, 3, 3]`` with rows left, up and forward.
    """
    stature = columns(people, lambda p: p.body.stature)
    legs = columns(people, lambda p: p.body.legs) * stature
    lean = columns(people, lambda p: p.body.lean)
    skull = columns(people, lambda p: p.body.head) * stature
    joints: dict[str, Array] = {}
    pelvis, torso = vector(0.0, legs, 0.0), 0.826 * stature - legs

    def up(share: float, across: Array | float = 0.0, ahead: Array | float = 0.0) -> Array:
        # The back bends: upper parts lean further than lower ones.
        tilt = lean * (0.4 + 0.8 * share)
        return pelvis + vector(across, cosine(tilt) * torso * share, sine(tilt) * torso * share + ahead)

    joints["pelvis"] = pelvis
    for name, share in (("waist", 0.34), ("chest", 0.69), ("collar", 0.93), ("neck", 1.0)):
        joints[name] = up(share)
    joints["head"] = joints["neck"] + vector(0.0, 0.153 * stature - skull * 0.82, 0.02 * stature)
    for name, side in SIDES.items():
        _leg(joints, people, pose, name, pelvis, stature, legs)
        swing = side * columns(people, lambda p: p.body.swing) * pose.amplitude * sine(pose.phase)
        shoulders = columns(people, lambda p: p.body.shoulders) * stature
        joints[f"{name} shoulder"] = up(0.9, side * shoulders * 0.82, -0.16 * swing * shoulders)
        _arm(joints, people, swing, name, stature)
    ground = np.min([joints[f"{name} {part}"][:, 1] for name in SIDES for part in ("heel", "toe")], axis=0)
    for name, point in joints.items():
        joints[name] = point - vector(0.0, ground - 0.012 * stature, 0.0)
    return {**joints, "stature": stature, "legs": legs, "skull": skull, "head axes": _head_axes(people, pose)}


def _head_axes(people: Sequence[Person], pose: Pose) -> Array:
    """Compute the axes of the head, which turns and nods slightly during the walk."""
    number, gaze = columns(people, lambda p: p.number), columns(people, lambda p: p.body.gaze)
    yaw = 0.3 * sine(0.45 * pose.phase + 2.4 * number)
    nod = gaze + 0.05 * sine(2 * pose.phase)
    cy, sy, cn, sn = cosine(yaw), sine(yaw), cosine(nod), sine(nod)
    zero = np.zeros_like(yaw)
    rows = [[cy, zero, -sy], [sn * sy, cn, sn * cy], [cn * sy, -sn, cn * cy]]
    return np.stack([np.stack(row, -1) for row in rows], axis=-2)


def _leg(
    joints: dict[str, Array],
    people: Sequence[Person],
    pose: Pose,
    name: str,
    pelvis: Array,
    stature: Array,
    legs: Array,
) -> None:
    """Add the joints of a leg.

    The hip swings, the knee bends while the leg moves forward, the heel strikes first and rises before the toes.
    """
    side, hips = SIDES[name], columns(people, lambda p: p.body.hips) * stature
    # A long hem shortens the step.
    narrow = columns(people, lambda p: 1 - 0.45 * p.outfit.hem)
    stride = columns(people, lambda p: p.body.stride) * pose.amplitude * narrow
    turn = side * columns(people, lambda p: p.body.toes)
    phase = pose.phase + (0.0 if side > 0 else np.pi)
    vigour = stride / 0.42
    thigh = 0.05 + stride * sine(phase)
    bend = 0.09 + np.minimum(vigour, 1.15) * (
        0.75 * power(np.maximum(0.0, cosine(phase + 0.1)), 2.2) + 0.13 * power(abs(cosine(phase - 2.3)), 8)
    )
    rise = 0.75 * vigour * power(np.maximum(0.0, cosine(phase + 1.25)), 3)
    strike = 0.3 * vigour * power(np.maximum(0.0, cosine(phase - 1.5)), 4)
    pitch = strike - rise
    hip = pelvis + vector(side * hips * 0.5, 0.0, 0.06 * stride * sine(phase) * stature * 0.3)
    knee = hang(hip, thigh, legs * 0.475, -0.03 * side)
    ankle = hang(knee, thigh - bend, legs * 0.45, -0.02 * side)
    ahead = vector(sine(turn) * cosine(pitch), sine(pitch), cosine(turn) * cosine(pitch))
    under = vector(sine(turn) * sine(pitch), -cosine(pitch), cosine(turn) * sine(pitch))
    scale = stature[:, None]
    joints[f"{name} hip"], joints[f"{name} knee"], joints[f"{name} ankle"] = hip, knee, ankle
    joints[f"{name} heel"] = ankle + scale * (under * 0.034 - ahead * 0.022)
    joints[f"{name} ball"] = ankle + scale * (under * 0.034 + ahead * 0.062)
    flat = vector(sine(turn), np.minimum(sine(pitch) + 0.5 * sine(rise), 0.3), cosine(turn))
    joints[f"{name} toe"] = joints[f"{name} ball"] + scale * flat * 0.03


def _arm(joints: dict[str, Array], people: Sequence[Person], swing: Array, name: str, stature: Array) -> None:
    """Add the joints of an arm.

    The arm swings opposite to the leg of its side and bends when it moves forward; an arm with a bag hangs.
    """
    side = SIDES[name]
    loaded = columns(people, lambda p: p.outfit.bag == "hand" and p.outfit.side == side)
    free = 1 - 0.75 * loaded
    girth, bulk = columns(people, lambda p: p.body.girth), columns(people, lambda p: p.outfit.bulk)
    out = columns(people, lambda p: p.body.carry) + 0.12 * np.maximum(0.0, girth - 1) + 3.0 * bulk
    bend = columns(people, lambda p: p.body.elbow) * free + 0.06 + 0.4 * free * np.maximum(0.0, -swing)
    shoulder = joints[f"{name} shoulder"]
    angle = 0.04 - swing * free
    joints[f"{name} elbow"] = hang(shoulder, angle, 0.176 * stature, side * out)
    joints[f"{name} wrist"] = hang(joints[f"{name} elbow"], angle + bend, 0.147 * stature, side * (out * 0.3 - 0.05))
    joints[f"{name} hand"] = hang(joints[f"{name} wrist"], angle + bend * 1.1, 0.048 * stature, -side * 0.03)
    joints[f"{name} finger"] = hang(joints[f"{name} hand"], angle + bend + 0.35, 0.042 * stature, -side * 0.12)


def hang(origin: Array, angle: Array, length: Array, out: Array | float = 0.0) -> Array:
    """Compute the lower end of a hanging bone.

    Args:
        origin: ``[B, 3]`` upper end.
        angle: ``[B]`` forward angle in radians.
        length: ``[B]`` length in metres.
        out: angle to the person's left in radians.
    """
    aside = np.asarray(out, np.float64)
    flat = cosine(aside) * length
    return np.asarray(origin + vector(sine(aside) * length, -flat * cosine(angle), flat * sine(angle)))
