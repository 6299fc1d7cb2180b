"""The skeleton of a walking person.

Lengths are metres. Body axes: x to the person's left, y up from the ground, z forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.synthetic.identity import Person

Array = NDArray[np.float64]

SIDES = {"left": 1.0, "right": -1.0}


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


def columns(people: Sequence[Person], read: Callable[[Person], float]) -> Array:
    """One attribute of every person."""
    return np.array([read(person) for person in people], dtype=np.float64)


def vector(x: Array | float, y: Array | float, z: Array | float) -> Array:
    """Points ``[B, 3]`` from their coordinates."""
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (x, y, z))), axis=-1)


def joints_of(people: Sequence[Person], pose: Pose) -> dict[str, Array]:
    """Positions of the joints by name, ``[B, 3]``, with the lower foot on the ground.

    ``stature`` and ``legs`` are lengths, ``[B]``.
    """
    stature = columns(people, lambda p: p.body.stature)
    legs = columns(people, lambda p: p.body.legs) * stature
    shoulders = columns(people, lambda p: p.body.shoulders) * stature
    lean = columns(people, lambda p: p.body.lean)
    joints: dict[str, Array] = {"stature": stature, "legs": legs}

    def up(origin: Array, height: Array, across: Array | float = 0.0) -> Array:
        return origin + vector(across, np.cos(lean) * height, np.sin(lean) * height)

    pelvis = vector(0.0, legs, 0.0)
    torso = 0.82 * stature - legs
    for name, side in SIDES.items():
        joints[f"{name} shoulder"] = up(pelvis, torso * 0.9, side * shoulders)
        _limbs(joints, people, pose, name, pelvis)
    joints["pelvis"] = pelvis
    joints["waist"] = up(pelvis, torso * 0.35)
    joints["chest"] = up(pelvis, torso * 0.74)
    joints["neck"] = up(pelvis, torso * 1.03)
    joints["head"] = up(pelvis, torso + 0.115 * stature) + vector(0.0, 0.0, 0.012 * stature)
    ground = np.minimum(joints["left ankle"][:, 1], joints["right ankle"][:, 1]) - 0.042 * stature
    for name, point in joints.items():
        if point.ndim == 2:
            joints[name] = point - vector(0.0, ground, 0.0)
    return joints


def _limbs(joints: dict[str, Array], people: Sequence[Person], pose: Pose, name: str, pelvis: Array) -> None:
    """Arm and leg of one side; the arm swings against the leg, the knee bends while the leg comes forward."""
    stature, legs, side = joints["stature"], joints["legs"], SIDES[name]
    hips = columns(people, lambda p: p.body.hips) * stature
    # A long hem shortens the step.
    narrow = columns(people, lambda p: 1 - 0.45 * p.outfit.hem)
    stride = columns(people, lambda p: p.body.stride) * pose.amplitude * narrow
    swing = columns(people, lambda p: p.body.swing) * pose.amplitude
    phase = pose.phase + (0.0 if side > 0 else np.pi)
    thigh, arm = stride * np.sin(phase), -swing * np.sin(phase)
    bend = 0.1 + 1.5 * stride * np.maximum(0.0, np.cos(phase)) ** 1.5
    joints[f"{name} hip"] = pelvis + vector(side * hips * 0.58, 0.0, 0.0)
    joints[f"{name} knee"] = _hang(joints[f"{name} hip"], thigh, legs * 0.48)
    joints[f"{name} ankle"] = _hang(joints[f"{name} knee"], thigh - bend, legs * 0.44)
    joints[f"{name} toe"] = _hang(joints[f"{name} ankle"], np.pi / 2 - 0.18 + 0.7 * (thigh - bend), 0.1 * stature)
    spread = joints[f"{name} shoulder"] + vector(side * 0.026 * stature, 0.0, 0.0)
    joints[f"{name} elbow"] = _hang(spread, arm, 0.175 * stature)
    joints[f"{name} wrist"] = _hang(joints[f"{name} elbow"], arm + 0.2 + 0.5 * np.maximum(0, arm), 0.15 * stature)


def _hang(origin: Array, angle: Array, length: Array) -> Array:
    """The lower end of a bone that hangs at an angle, positive forwards."""
    return origin + vector(0.0, -np.cos(angle) * length, np.sin(angle) * length)
