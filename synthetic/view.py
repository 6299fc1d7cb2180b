"""View of an image: the walk past a camera and the moment within it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from usvi_bench.core.seeding import derive
from usvi_bench.synthetic.arithmetic import clip, exponential
from usvi_bench.synthetic.cameras import Camera, Layout
from usvi_bench.synthetic.climate import draw_climate
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.layout import Shot
from usvi_bench.synthetic.spec import SyntheticSpec

_WIDTH = 0.72
"""Mean width of a box over half its height; measured boxes are narrower than the images they are stretched to."""


_HEADINGS = (0.0, math.pi, math.pi / 2, -math.pi / 2)
_HEADING_SHARES: dict[Layout, tuple[float, ...]] = {
    "sysu": (0.4, 0.3, 0.15, 0.15),
    "regdb": (0.5, 0.5, 0.0, 0.0),
    "llcm": (0.4, 0.3, 0.15, 0.15),
}
"""Probability of each heading: most cameras look along the path, and RegDB's file names distinguish front and back."""


@dataclass(frozen=True, slots=True)
class View:
    """View of a person at one moment.

    Attributes:
        azimuth: heading in radians; 0 is towards the camera.
        elevation: downward tilt of the camera in radians.
        phase: phase of the gait cycle in radians.
        amplitude: factor on stride and arm swing.
        margin: box height over person height.
        stretch: box width over half its height.
        shift_x: shift of the box, fraction of its width.
        shift_y: shift of the box, fraction of its height.
        place_x: position along the scene, 0 to 1.
        place_y: vertical jitter in the scene, fraction of the box.
        place_zoom: magnification of the scene.
        mirrored: whether the scene is mirrored.
        exposure: factor on the levels.
        tint: factors on red, green and blue.
        blur: factor on the camera's blur.
        climate: climate in thermal infrared, an index in ``CLIMATES``.
        warmth: level of the surroundings in thermal infrared.
        occluded: whether an occluder is in the foreground.
        seed: seed of the pixel noise and of the occluder.
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
    """Draw the view of a shot; frames of one walk are consecutive moments, walks are independent."""
    key = (layout, shot.person, shot.camera, shot.walk)
    walk, frame = Draws(spec.seed, "walk", *key), Draws(spec.seed, "frame", *key, shot.step)
    # the two cameras of RegDB are mounted side by side and see the same walk
    gait = Draws(spec.seed, "gait", *_gait_key(layout, shot)) if layout == "regdb" else walk
    turn_rng = Draws(spec.seed, "heading", *_gait_key(layout, shot))
    heading, loose = _heading(spec, layout, gait, turn_rng), 2 * spec.boxes
    turn, pace = gait.normal(0, 0.06), gait.uniform(0.7, 1.6)
    start, speed = walk.uniform(0, 1), walk.normal(0, 0.02)
    slack, first = loose * walk.uniform(0.01, 0.13), gait.uniform(0, 2 * math.pi)
    light = walk.normal(0, 0.1)
    red, green, blue = (walk.lognormal(0, 0.035) for _ in range(3))
    climate, warmth = draw_climate(walk)
    return View(
        azimuth=float(heading + spec.pose * turn * shot.step + spec.pose * frame.normal(0, 0.12)),
        elevation=math.pi / 180 * clip(camera.elevation + 3 * walk.normal() + frame.normal(0, 0.7), 1, 30),
        phase=float(first + pace * shot.step + frame.normal(0, 0.15)),
        amplitude=clip(1 + spec.pose * frame.normal(0, 0.12), 0.5, 1.4),
        margin=clip(1 + slack + loose * frame.normal(0, 0.015), 1.005, 1.4),
        stretch=float(_WIDTH * exponential(loose * (walk.normal(0, 0.1) + frame.normal(0, 0.02)))),
        shift_x=float(loose * (walk.normal(0, 0.035) + frame.normal(0, 0.02))),
        shift_y=clip(loose * (walk.normal(0, 0.012) + frame.normal(0, 0.01)), -slack / 2, slack / 2),
        place_x=float((start + speed * shot.step) % 1.0),
        place_y=float(walk.normal(0, 0.05) + frame.normal(0, 0.01)),
        place_zoom=float(walk.uniform(0.8, 1.2)),
        mirrored=bool(walk.random() < 0.5),
        exposure=exponential(light + frame.normal(0, 0.03)),
        tint=(red, green, blue),
        blur=exponential(walk.normal(0, 0.15) + frame.normal(0, 0.1)),
        climate=climate,
        warmth=warmth,
        occluded=bool(frame.random() < spec.occlusion),
        seed=derive(spec.seed, "pixels", *key, shot.step),
    )


def _gait_key(layout: Layout, shot: Shot) -> tuple[str | int, ...]:
    """Return the seed key of a walk's gait, shared by all cameras that see the walk."""
    return (layout, shot.person, shot.walk) if layout == "regdb" else (layout, shot.person, shot.camera, shot.walk)


def _heading(spec: SyntheticSpec, layout: Layout, gait: Draws, turn_rng: Draws) -> float:
    """Draw the heading of a walk; ``pose`` is the fraction of walks that may head away from the camera."""
    usual, spread = gait.choice(_HEADINGS, _HEADING_SHARES[layout]), gait.normal(0, 0.4)
    return float((usual if turn_rng.random() < spec.pose else 0.0) + spec.pose * spread)
