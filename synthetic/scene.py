"""Background of an image: a window of a place, which is painted once as a wide plate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from usvi_bench.core.seeding import numpy_generator
from usvi_bench.synthetic.cameras import Camera
from usvi_bench.synthetic.climate import CLIMATES
from usvi_bench.synthetic.painter import HEIGHT, WIDTH, Painter
from usvi_bench.synthetic.places import PLACES
from usvi_bench.synthetic.view import View


@lru_cache(maxsize=8)
def plate(seed: int, place: str) -> Tensor:
    """Paint a place as ``[5, HEIGHT, WIDTH]``: red, green, blue, near infrared, warmth."""
    paint = Painter(numpy_generator(seed, "place", place))
    PLACES[place](paint)
    return torch.from_numpy(paint.plate)


def background(
    seed: int, camera: Camera, views: Sequence[View], height: int, gap: float, device: torch.device | str = "cpu"
) -> Tensor:
    """Compute the background levels ``[B, C, height, height // 2]``.

    Args:
        seed: seed of the place.
        camera: camera of all images.
        views: view of each image.
        height: of the images in pixels.
        gap: 0 gives infrared the grey visible level, 1 the infrared level of the place.
        device: device of the result.
    """
    picture = plate(seed, camera.place).to(device)
    if camera.band == "visible":
        return windows(picture[:3], views, height) * camera.place_level
    seen = windows(picture, views, height)
    grey = camera.place_level * sum(weight * seen[:, channel] for channel, weight in enumerate((0.299, 0.587, 0.114)))
    if camera.band == "near":
        # A person near the lamp is bright and the exposure adapts to it, so the place behind varies less.
        lamp = [camera.place_level * view.exposure ** (-0.7 * camera.swing) for view in views]
        own = seen[:, 3] * torch.tensor(lamp, dtype=torch.float32, device=device)[:, None, None]
    else:
        levels = [[view.warmth, CLIMATES[view.climate].clutter] for view in views]
        around, clutter = torch.tensor(levels, dtype=torch.float32, device=device).T[:, :, None, None]
        own = around + clutter * (seen[:, 4] - 0.5)
    return torch.lerp(torch.as_tensor(grey), own, gap).unsqueeze(1)


def windows(picture: Tensor, views: Sequence[View], height: int) -> Tensor:
    """Cut each view's window ``[B, C, height, height // 2]`` out of a plate ``[C, HEIGHT, WIDTH]``."""
    width = height // 2
    rows = (torch.arange(height, device=picture.device) + 0.5) / height - 0.5
    columns = (torch.arange(width, device=picture.device) + 0.5) / width - 0.5
    tall = [0.62 / view.place_zoom for view in views]
    wide = [t / 2 * view.stretch * HEIGHT / WIDTH for t, view in zip(tall, views, strict=True)]
    low = [0.56 + 0.12 / view.place_zoom - 0.12 + view.place_y * t for t, view in zip(tall, views, strict=True)]
    left = [w + view.place_x * (1 - 2 * w) for w, view in zip(wide, views, strict=True)]
    run = [-w if view.mirrored else w for w, view in zip(wide, views, strict=True)]

    def line(start: list[float], size: list[float], steps: Tensor) -> Tensor:
        first, span = torch.tensor([start, size], dtype=torch.float32, device=picture.device)[:, :, None]
        places: Tensor = (first + steps * span) * 2 - 1
        return places

    y, x = line(low, tall, rows), line(left, run, columns)
    grid = torch.stack([x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], -1)
    whole = picture.unsqueeze(0).expand(len(views), -1, -1, -1)
    return torch.nn.functional.grid_sample(whole, grid, padding_mode="reflection", align_corners=False)
