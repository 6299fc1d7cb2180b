"""Shadow of a person on the ground."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import falloff, sine
from usvi_bench.synthetic.cameras import Camera
from usvi_bench.synthetic.solids import Part, Primitives
from usvi_bench.synthetic.view import View

_DEPTH = {"visible": 1.0, "near": 0.6, "thermal": 0.0}
"""Strength of shadows by band; thermal images have none."""
_LENGTH = 1.1
"""Maximum length of a shadow in metres."""


def ground_shadow(solids: Primitives, camera: Camera, views: Sequence[View], x: Tensor, y: Tensor) -> Tensor:
    """Compute the factor ``[B, 1, H, W]`` on the ground: dark under each foot, soft where the body blocks the lamp."""
    tilt = torch.tensor([sine(view.elevation) for view in views], dtype=torch.float32, device=x.device)
    feet = torch.nonzero((solids.part == Part.FOOT) & (solids.axis[0, :, 1] > 0.7)).flatten().tolist()
    light = torch.ones(x.shape[0], y.shape[1], x.shape[1], device=x.device)
    ground = torch.stack([solids.start[:, slot, 1] - 0.02 for slot in feet]).amin(0)
    for slot in feet:
        foot = (solids.start[:, slot] + solids.end[:, slot]) / 2
        low = torch.minimum(foot[:, 1] - 0.025, ground + 0.25 * tilt)
        light = light * (1 - 0.42 * _DEPTH[camera.band] * _blot(x, y, foot[:, 0], low, 0.1, 0.018 + 0.1 * tilt))
    # The shadow points away from the lamp; the camera's tilt maps depth on the ground to height in the image.
    right, up, near = camera.light
    flat = math.sqrt(right * right + near * near)
    reach, size = min(_LENGTH, 1.5 * flat / max(up, 0.1)), max(flat, 1e-3)
    centre = torch.as_tensor(sum(solids.start[:, slot, 0] for slot in feet)) / len(feet)
    steps = 5
    for step in range(steps):
        way = reach * (step + 0.5) / steps
        across, back = centre - way * right / size, ground + 0.04 + way * near / size * tilt
        depth = 0.2 * _DEPTH[camera.band] * (1 - camera.ambient) * 2 * (1 - step / steps)
        light = light * (1 - depth * _blot(x, y, across, back, 0.2, 0.04 + 0.16 * tilt))
    return light.unsqueeze(1)


def _blot(x: Tensor, y: Tensor, centre: Tensor, height: Tensor, wide: float, high: Tensor) -> Tensor:
    across, upward = (x - centre[:, None]) / wide, (y - height[:, None]) / high[:, None]
    return falloff(across * across)[:, None, :] * falloff(upward * upward)[:, :, None]
