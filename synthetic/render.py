"""Rendering of the shots of one camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.synthetic import scene
from usvi_bench.synthetic.appearance import shade
from usvi_bench.synthetic.body import build
from usvi_bench.synthetic.cameras import THERMAL_GAP, Camera, Layout, cameras
from usvi_bench.synthetic.identity import Person, camera_materials, draw_person
from usvi_bench.synthetic.layout import Shot
from usvi_bench.synthetic.occluder import cover
from usvi_bench.synthetic.optics import develop, motion_blur
from usvi_bench.synthetic.raycast import cast
from usvi_bench.synthetic.relief import relief
from usvi_bench.synthetic.shadow import ground_shadow
from usvi_bench.synthetic.skeleton import Pose
from usvi_bench.synthetic.solids import Primitives
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.view import View, draw_view
from usvi_bench.synthetic.worn import worn

person_of = lru_cache(maxsize=4096)(draw_person)


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rendered images of one camera.

    Attributes:
        pixels: ``[B, height, height // 2, 3]`` as written to files.
        coverage: ``[B, height, height // 2]`` share of each pixel that the person fills, ignoring occluders.
        occlusion: ``[B]`` share of the person that an occluder hides.
    """

    pixels: NDArray[np.uint8]
    coverage: NDArray[np.float32]
    occlusion: NDArray[np.float32]


def camera_of(spec: SyntheticSpec, layout: Layout, number: int) -> Camera:
    """Return a camera by its number, with the camera gap of the specification."""
    return next(camera for camera in cameras(layout, spec.camera_gap) if camera.number == number)


@lru_cache(maxsize=8192)
def dressed_person(spec: SyntheticSpec, layout: Layout, number: int, camera: int) -> Person:
    """Return a person with the outfit and colours worn in front of a camera."""
    person = person_of(spec, layout, number)
    visible = camera_of(spec, layout, camera).band == "visible"
    materials = camera_materials(spec, layout, person, camera) if visible else person.materials
    return replace(person, outfit=worn(spec, layout, person, camera), materials=materials)


def render(spec: SyntheticSpec, layout: Layout, shots: Sequence[Shot], height: int) -> NDArray[np.uint8]:
    """Render shots that share a camera to images ``[B, height, height // 2, 3]``."""
    return draw(spec, layout, shots, height).pixels


def draw(
    spec: SyntheticSpec, layout: Layout, shots: Sequence[Shot], height: int, device: str | torch.device = "cpu"
) -> Rendered:
    """Render shots that share a camera to images, with coverage and occlusion."""
    camera = camera_of(spec, layout, shots[0].camera)
    people = [dressed_person(spec, layout, shot.person, shot.camera) for shot in shots]
    views = [draw_view(spec, layout, camera, shot) for shot in shots]
    return picture(spec, camera, people, views, height, device)


def picture(
    spec: SyntheticSpec,
    camera: Camera,
    people: Sequence[Person],
    views: Sequence[View],
    height: int,
    device: str | torch.device = "cpu",
) -> Rendered:
    """Render people at given views."""
    gap = spec.modality_gap * (THERMAL_GAP if camera.band == "thermal" else 1.0)
    solids = build(people, _pose(views)).to(device)
    left, right, bottom, top = _boxes(solids, views)
    rows, width = 2 * height, height // 2
    across = (torch.arange(width, device=device) + 0.5) / width
    upward = (torch.arange(rows, device=device) + 0.5) / rows
    x = left[:, None] + (right - left)[:, None] * across
    y = top[:, None] - (top - bottom)[:, None] * upward
    hits = cast(solids, x, y)
    light = relief(hits, (len(views), rows, width), (right - left) / width, camera.light)
    shaded = shade(hits, solids, people, views, camera, gap, light)
    levels = torch.zeros(len(shaded) + 1, len(views) * rows * width, device=device)
    levels[:-1].scatter_(1, hits.pixel.expand(len(shaded), -1), shaded)
    levels[-1].scatter_(0, hits.pixel, 1.0)
    pairs = levels.view(-1, len(views), height, 2, width).transpose(0, 1)
    levels = (pairs[:, :, :, 0] + pairs[:, :, :, 1]) / 2
    coverage = levels[:, -1].cpu().numpy()
    levels = motion_blur(levels, camera, views)
    background = scene.background(spec.seed, camera, views, height, gap).to(device)
    background = background * ground_shadow(solids, camera, views, x, (y[:, ::2] + y[:, 1::2]) / 2)
    image = levels[:, :-1] + (1 - levels[:, -1:]) * background
    image, hidden = cover(image, camera, views, gap)
    taken = coverage.sum((1, 2)).clip(min=1e-6)
    occlusion = (coverage * hidden.cpu().numpy()).sum((1, 2)) / taken
    return Rendered(develop(image, camera, views).cpu().numpy(), coverage, occlusion)


def _pose(views: Sequence[View]) -> Pose:
    return Pose(
        azimuth=np.array([view.azimuth for view in views]),
        elevation=np.array([view.elevation for view in views]),
        phase=np.array([view.phase for view in views]),
        amplitude=np.array([view.amplitude for view in views]),
    )


def _boxes(solids: Primitives, views: Sequence[View]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute left, right, bottom and top of each person's loose bounding box in metres."""
    present = solids.start_radius > 0

    def extreme(axis: int, sign: int) -> Tensor:
        radius = torch.maximum(solids.start_radius, solids.end_radius)
        reach = torch.maximum(sign * solids.start[..., axis], sign * solids.end[..., axis]) + radius * 0.8
        return sign * torch.where(present, reach, -10.0).amax(1)

    def row(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=solids.start.device)

    low, high = extreme(1, -1), extreme(1, 1)
    tall = (high - low) * row([view.margin for view in views])
    wide = tall / 2 * row([view.stretch for view in views])
    centre_x = (extreme(0, -1) + extreme(0, 1)) / 2 * 0.5 + row([view.shift_x for view in views]) * wide
    centre_y = (low + high) / 2 + row([view.shift_y for view in views]) * tall
    return centre_x - wide / 2, centre_x + wide / 2, centre_y - tall / 2, centre_y + tall / 2
