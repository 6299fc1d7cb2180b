"""Background of an image: a window of a place, which is painted once as a wide plate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import blend, power
from usvi_bench.synthetic.cameras import Camera
from usvi_bench.synthetic.climate import CLIMATES
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.painter import HEIGHT, WIDTH, Painter
from usvi_bench.synthetic.places import PLACES
from usvi_bench.synthetic.view import View


@lru_cache(maxsize=8)
def plate(seed: int, place: str) -> Tensor:
    """Paint a place as ``[5, HEIGHT, WIDTH]``: red, green, blue, near infrared, warmth."""
    paint = Painter(Draws(seed, "place", place))
    PLACES[place](paint)
    return torch.from_numpy(paint.plate)


def background(seed: int, camera: Camera, views: Sequence[View], height: int, gap: float) -> Tensor:
    """Compute the background levels ``[B, C, height, height // 2]``.

    Args:
        seed: seed of the place.
        camera: camera of all images.
        views: view of each image.
        height: of the images in pixels.
        gap: 0 gives infrared the grey visible level, 1 the infrared level of the place.
    """
    picture = plate(seed, camera.place)
    if camera.band == "visible":
        return windows(picture[:3], views, height) * camera.place_level
    seen = windows(picture, views, height)
    grey = camera.place_level * sum(weight * seen[:, channel] for channel, weight in enumerate((0.299, 0.587, 0.114)))
    if camera.band == "near":
        # A person near the lamp is bright and the exposure adapts to it, so the place behind varies less.
        lamp = [camera.place_level * power(view.exposure, -0.7 * camera.swing) for view in views]
        own = seen[:, 3] * torch.tensor(lamp, dtype=torch.float32)[:, None, None]
    else:
        levels = [[view.warmth, CLIMATES[view.climate].clutter] for view in views]
        around, clutter = torch.tensor(levels, dtype=torch.float32).T[:, :, None, None]
        own = around + clutter * (seen[:, 4] - 0.5)
    return blend(torch.as_tensor(grey), own, gap).unsqueeze(1)


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
        places: Tensor = first + steps * span
        return places

    above, below, lower = _between_pixels(line(low, tall, rows), HEIGHT)
    west, east, further = _between_pixels(line(left, run, columns), WIDTH)
    colours = picture.flatten(1).t().contiguous()

    def corner(y: Tensor, x: Tensor) -> Tensor:
        place = (y * WIDTH)[:, :, None] + x[:, None, :]
        return colours.index_select(0, place.flatten()).view(*place.shape, -1)

    lower, further = lower[:, :, None, None], further[:, None, :, None]
    upper_row = blend(corner(above, west), corner(above, east), further)
    return blend(upper_row, blend(corner(below, west), corner(below, east), further), lower).permute(0, 3, 1, 2)


def _between_pixels(places: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pixels on both sides of each place and the share of the second; the plate is mirrored at its rim."""
    folded = places * 0.5
    folded = (places - 2 * (folded + 0.5).floor()).abs() * size - 0.5
    before = folded.floor()
    first = before.long()
    return first.clamp(0, size - 1), (first + 1).clamp(0, size - 1), folded - before
