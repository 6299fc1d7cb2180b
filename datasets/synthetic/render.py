"""Shots of one camera to images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets.synthetic import scene
from datasets.synthetic.appearance import shade
from datasets.synthetic.body import build
from datasets.synthetic.cameras import Camera, Layout, cameras
from datasets.synthetic.identity import Person, draw_person
from datasets.synthetic.layout import Shot
from datasets.synthetic.occluder import cover
from datasets.synthetic.optics import develop, smear
from datasets.synthetic.raycast import cast
from datasets.synthetic.skeleton import Pose
from datasets.synthetic.solids import Primitives
from datasets.synthetic.spec import SyntheticSpec
from datasets.synthetic.view import View, draw_view

SUPERSAMPLING = 2

person_of = lru_cache(maxsize=4096)(draw_person)


def camera_of(spec: SyntheticSpec, layout: Layout, number: int) -> Camera:
    """The camera of that number as the specification sets it."""
    return cameras(layout, spec.camera_gap)[number - 1]


def render(spec: SyntheticSpec, layout: Layout, shots: Sequence[Shot], height: int) -> NDArray[np.uint8]:
    """``[B, height, height // 2, 3]`` images of shots that share a camera."""
    camera = camera_of(spec, layout, shots[0].camera)
    people = [person_of(spec, layout, shot.person) for shot in shots]
    views = [draw_view(spec, layout, camera, shot) for shot in shots]
    return picture(spec, camera, people, views, height)[0]


def picture(
    spec: SyntheticSpec, camera: Camera, people: Sequence[Person], views: Sequence[View], height: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """``[B, height, height // 2, 3]`` images, and ``[B, height, height // 2]`` shares of each pixel the person fills."""
    solids = build(people, _pose(views))
    left, right, bottom, top = _boxes(solids, views)
    fine = height * SUPERSAMPLING
    across = (torch.arange(fine // 2) + 0.5) / (fine // 2)
    upward = (torch.arange(fine) + 0.5) / fine
    x = left[:, None] + (right - left)[:, None] * across
    y = top[:, None] - (top - bottom)[:, None] * upward
    hits = cast(solids, x, y)
    levels = torch.zeros(len(views) * fine * (fine // 2), 4)
    levels[hits.pixel, :3] = shade(hits, solids, people, views, camera, spec.modality_gap)
    levels[hits.pixel, 3] = 1.0
    levels = levels.view(len(views), fine, fine // 2, 4).permute(0, 3, 1, 2)
    levels = torch.nn.functional.avg_pool2d(levels, SUPERSAMPLING)
    levels = smear(levels, camera, views)
    background = scene.background(spec.seed, camera, views, height, spec.modality_gap)
    background = background * _contact_shadow(solids, camera, views, x[:, ::2], y[:, ::2])
    image = levels[:, :3] + (1 - levels[:, 3:]) * background
    image, _ = cover(image, camera, views, spec.modality_gap)
    pixels = develop(image, camera, views)
    return pixels.numpy(), levels[:, 3].numpy()


def _pose(views: Sequence[View]) -> Pose:
    return Pose(
        azimuth=np.array([view.azimuth for view in views]),
        elevation=np.array([view.elevation for view in views]),
        phase=np.array([view.phase for view in views]),
        amplitude=np.array([view.amplitude for view in views]),
    )


def _boxes(solids: Primitives, views: Sequence[View]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, right, bottom and top of each loose box in metres, around what is seen of the person."""
    present = solids.start_radius > 0

    def extreme(axis: int, sign: int) -> Tensor:
        radius = torch.maximum(solids.start_radius, solids.end_radius)
        reach = torch.maximum(sign * solids.start[..., axis], sign * solids.end[..., axis]) + radius * 0.8
        return sign * torch.where(present, reach, -10.0).amax(1)

    def row(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32)

    low, high = extreme(1, -1), extreme(1, 1)
    tall = (high - low) * row([view.margin for view in views])
    wide = tall / 2 * row([view.stretch for view in views])
    centre_x = (extreme(0, -1) + extreme(0, 1)) / 2 * 0.5 + row([view.shift_x for view in views]) * wide
    centre_y = (low + high) / 2 + row([view.shift_y for view in views]) * tall
    return centre_x - wide / 2, centre_x + wide / 2, centre_y - tall / 2, centre_y + tall / 2


def _contact_shadow(solids: Primitives, camera: Camera, views: Sequence[View], x: Tensor, y: Tensor) -> Tensor:
    """``[B, 1, H, W]`` factor that darkens the ground around the feet; warm feet cast none."""
    present = solids.start_radius > 0
    lowest = torch.where(present, solids.start[..., 1] - solids.start_radius, 10.0).amin(1)[:, None]
    centre = torch.where(present, solids.start[..., 0], 0.0).sum(1) / present.sum(1)
    tilt = torch.tensor([np.sin(view.elevation) for view in views], dtype=torch.float32)[:, None]
    across = (x - centre[:, None]) / 0.3
    upward = (y - lowest - 0.06) / (0.05 + 0.3 * tilt)
    depth = {"visible": 0.5, "near": 0.3, "thermal": 0.0}[camera.band]
    return (1 - depth * torch.exp(-(across[:, None, :] ** 2 + upward[:, :, None] ** 2))).unsqueeze(1)
