"""What changes from image to image: the walk past a camera, and the moment within it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usvi_bench.core.seeding import derive, numpy_generator
from usvi_bench.synthetic.cameras import Camera, Layout
from usvi_bench.synthetic.climate import draw_climate
from usvi_bench.synthetic.layout import Shot
from usvi_bench.synthetic.spec import SyntheticSpec

_WIDTH = 0.72
"""Width of a box over half its height; measured boxes are narrower than the images they are stretched to."""


_HEADINGS = (0.0, np.pi, np.pi / 2, -np.pi / 2)
_OFTEN: dict[Layout, tuple[float, ...]] = {"sysu": (0.4, 0.3, 0.15, 0.15), "regdb": (0.5, 0.5, 0.0, 0.0)}
"""Where people are headed, and how often: cameras mostly look along the way; RegDB's file names tell front or back."""


@dataclass(frozen=True, slots=True)
class View:
    """One moment.

    Attributes:
        azimuth: heading in radians; 0 walks towards the camera.
        elevation: radians the camera looks down.
        phase: of the gait cycle, radians.
        amplitude: factor on stride and arm swing.
        margin: box height over person height.
        stretch: box width over half its height.
        shift_x: shift of the box, fraction of its width.
        shift_y: shift of the box, fraction of its height.
        place_x: position along the scene, 0 to 1.
        place_y: vertical jitter in the scene, fraction of the box.
        place_zoom: magnification of the scene.
        mirrored: whether the scene is seen from the other end.
        exposure: factor on the levels.
        tint: factors on red, green and blue.
        blur: factor on the camera's blur.
        climate: kind of the scene in thermal infrared, a place in ``CLIMATES``.
        warmth: level of the surroundings in thermal infrared.
        occluded: whether something is in the foreground.
        seed: of the pixel noise and of the occluder.
    """

    azimuth: float
    elevation: float
    phase: float
    amplitude: float
    margin: float
    stretch: float
    shift_x: float
    shift_y: float
    place_x: float
    place_y: float
    place_zoom: float
    mirrored: bool
    exposure: float
    tint: tuple[float, float, float]
    blur: float
    climate: int
    warmth: float
    occluded: bool
    seed: int


def draw_view(spec: SyntheticSpec, layout: Layout, camera: Camera, shot: Shot) -> View:
    """The moment of a shot; frames of one walk follow one another, walks are unrelated."""
    key = (layout, shot.person, shot.camera, shot.walk)
    walk, frame = numpy_generator(spec.seed, "walk", *key), numpy_generator(spec.seed, "frame", *key, shot.step)
    # the cameras of RegDB hang side by side and see the same walk
    gait = walk if layout == "sysu" else numpy_generator(spec.seed, "gait", *_gait_key(layout, shot))
    turned = numpy_generator(spec.seed, "heading", *_gait_key(layout, shot))
    heading, loose = _heading(spec, layout, gait, turned), 2 * spec.boxes
    turn, pace = gait.normal(0, 0.06), gait.uniform(0.7, 1.6)
    start, speed = walk.uniform(0, 1), walk.normal(0, 0.02)
    slack, first = loose * walk.uniform(0.01, 0.13), gait.uniform(0, 2 * np.pi)
    light, tint = walk.normal(0, 0.1), walk.normal(0, 0.035, 3)
    red, green, blue = (float(np.exp(t)) for t in tint)
    climate, warmth = draw_climate(walk)
    return View(
        azimuth=float(heading + spec.pose * turn * shot.step + spec.pose * frame.normal(0, 0.12)),
        elevation=float(np.radians(np.clip(camera.elevation + 3 * walk.normal() + frame.normal(0, 0.7), 1, 30))),
        phase=float(first + pace * shot.step + frame.normal(0, 0.15)),
        amplitude=float(np.clip(1 + spec.pose * frame.normal(0, 0.12), 0.5, 1.4)),
        margin=float(np.clip(1 + slack + loose * frame.normal(0, 0.015), 1.005, 1.4)),
        stretch=float(_WIDTH * np.exp(loose * (walk.normal(0, 0.1) + frame.normal(0, 0.02)))),
        shift_x=float(loose * (walk.normal(0, 0.035) + frame.normal(0, 0.02))),
        shift_y=float(np.clip(loose * (walk.normal(0, 0.012) + frame.normal(0, 0.01)), -slack / 2, slack / 2)),
        place_x=float((start + speed * shot.step) % 1.0),
        place_y=float(walk.normal(0, 0.05) + frame.normal(0, 0.01)),
        place_zoom=float(walk.uniform(0.8, 1.2)),
        mirrored=bool(walk.random() < 0.5),
        exposure=float(np.exp(light + frame.normal(0, 0.03))),
        tint=(red, green, blue),
        blur=float(np.exp(walk.normal(0, 0.15) + frame.normal(0, 0.1))),
        climate=climate,
        warmth=warmth,
        occluded=bool(frame.random() < spec.occlusion),
        seed=derive(spec.seed, "pixels", *key, shot.step),
    )


def _gait_key(layout: Layout, shot: Shot) -> tuple[str | int, ...]:
    """What a walk is drawn by, as far as all cameras that see it have it in common."""
    return (layout, shot.person, shot.camera, shot.walk) if layout == "sysu" else (layout, shot.person, shot.walk)


def _heading(spec: SyntheticSpec, layout: Layout, gait: np.random.Generator, turned: np.random.Generator) -> float:
    """Where a walk is headed; ``pose`` is the share of walks that may be headed elsewhere than towards the camera."""
    usual, spread = gait.choice(_HEADINGS, p=_OFTEN[layout]), gait.normal(0, 0.4)
    return float((usual if turned.random() < spec.pose else 0.0) + spec.pose * spread)
