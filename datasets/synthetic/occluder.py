"""Things between the camera and the person: a desk, a pole, a bush, somebody's shoulder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datasets.synthetic.cameras import Camera
from datasets.synthetic.view import View
from engine.seeding import numpy_generator


def cover(image: Tensor, camera: Camera, views: Sequence[View], gap: float) -> Tensor:
    """Paint an occluder over the ``[B, 3, H, W]`` images whose view has one."""
    covered = [index for index, view in enumerate(views) if view.occluded]
    if covered:
        image = image.clone()
        for index in covered:
            image[index] = _cover_one(image[index], camera, views[index], gap)
    return image


def _cover_one(image: Tensor, camera: Camera, view: View, gap: float) -> Tensor:
    rng = numpy_generator(view.seed, "occluder")
    mask, visible = _shape(rng, image.shape[1], image.shape[2]), torch.from_numpy(rng.uniform(0.08, 0.7, 3)).float()
    own = {"near": rng.uniform(0.15, 0.9), "thermal": view.warmth + rng.uniform(-0.1, 0.08)}.get(camera.band, 0.0)
    if camera.band != "visible":
        visible = torch.lerp(visible.mean(), torch.tensor(own, dtype=torch.float32), gap).expand(3)
    texture = 1 + 0.08 * torch.from_numpy(rng.standard_normal(image.shape[1:])).float()
    return torch.where(mask, visible[:, None, None] * texture, image)


def _shape(rng: np.random.Generator, height: int, width: int) -> Tensor:
    """``[H, W]`` mask that leaves at least half of the image free."""
    y = ((torch.arange(height) + 0.5) / height)[:, None]
    x = ((torch.arange(width) + 0.5) / width)[None, :]
    kind, size, side = rng.integers(4), float(rng.uniform(0.2, 0.42)), float(rng.integers(2))
    if kind == 0:
        return (y > 1 - size).expand(height, width)
    if kind == 1:
        centre = float(rng.uniform(0.25, 0.75))
        return ((x - centre).abs() < 0.09).expand(height, width)
    if kind == 2:
        ragged = 0.03 * torch.sin(40 * x + size * 90) + 0.02 * torch.sin(95 * x)
        return y > 1 - size + ragged
    return ((x - side).abs() / size) ** 2 + ((y - 0.75) / 0.5) ** 2 < 1
