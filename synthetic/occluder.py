"""Occluders between camera and person: a desk, a pole, a bush, another person's shoulder, a rail, a chair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import blend, remainder, wave
from usvi_bench.synthetic.cameras import Camera
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.view import View


def cover(image: Tensor, camera: Camera, views: Sequence[View], gap: float) -> tuple[Tensor, Tensor]:
    """Draw an occluder into the images of occluded views.

    Args:
        image: ``[B, C, H, W]`` levels.
        camera: camera of all images.
        views: view of each image.
        gap: 0 gives infrared the grey visible level, 1 the infrared level of the occluder.

    Returns:
        ``[B, C, H, W]`` levels, and the mask ``[B, H, W]`` of the occluders.
    """
    hidden = torch.zeros(image.shape[0], *image.shape[2:], dtype=torch.bool, device=image.device)
    image = image.clone()
    for index, view in enumerate(views):
        if view.occluded:
            mask, levels = _draw_occluder(image.shape[2], image.shape[3], camera, view, gap)
            hidden[index] = mask.to(image.device)
            image[index] = torch.where(hidden[index], levels.to(image.device), image[index])
    return image, hidden


def _draw_occluder(height: int, width: int, camera: Camera, view: View, gap: float) -> tuple[Tensor, Tensor]:
    """Draw one occluder: mask ``[H, W]``, and levels ``[3, H, W]`` in visible light or ``[1, H, W]`` in infrared."""
    rng = Draws(view.seed, "occluder")
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    x = ((torch.arange(width) + 0.5) / width)[None, :].expand(height, width)
    kind = rng.choice(_KINDS)
    mask, relief = kind(rng, y, x)
    tone = float(rng.uniform(0.1, 0.6))
    visible = torch.tensor([tone * rng.lognormal(0, 0.25) for _ in range(3)]).clamp(0.03, 0.95)
    if kind is _bush:
        visible = _mean(visible).clamp(0.1, 0.3) * torch.tensor([0.75, 1.1, 0.55])
    own = {"near": rng.uniform(0.25, 0.8), "thermal": view.warmth + rng.uniform(-0.1, 0.08)}.get(camera.band, 0.0)
    if camera.band != "visible":
        visible = blend(_mean(visible), torch.tensor(own, dtype=torch.float32), gap)[None]
    depth = gap * 0.4 + (1 - gap) if camera.band == "thermal" else 1.0
    return mask, visible[:, None, None] * (1 + depth * (relief - 1))


def _mean(levels: Tensor) -> Tensor:
    mean: Tensor = (levels[0] + levels[1] + levels[2]) / 3
    return mean


_Shape = tuple[Tensor, Tensor]
"""Mask ``[H, W]``, which leaves at least half of the image free, and shading ``[H, W]`` around 1."""


def _desk(rng: Draws, y: Tensor, x: Tensor) -> _Shape:
    top = 1 - float(rng.uniform(0.2, 0.4))
    edge = top + 0.05
    screen = (x - float(rng.uniform(0.2, 0.8))).abs() < 0.16
    mask = (y > top) | (screen & (y > top - 0.09))
    relief = 1.15 - 0.35 * ((y - edge).clamp_min(0) / 0.4) - 0.45 * ((y > edge) & (y < edge + 0.012)).float()
    return mask, torch.where(y < top, torch.full_like(y, 0.45), relief)


def _pole(rng: Draws, y: Tensor, x: Tensor) -> _Shape:
    across = (x - float(rng.uniform(0.25, 0.75))) / float(rng.uniform(0.05, 0.1))
    return across.abs() < 1, 0.65 + 0.5 * (1 - (across - 0.3) ** 2).clamp_min(0)


def _bush(rng: Draws, y: Tensor, x: Tensor) -> _Shape:
    size, a, b = float(rng.uniform(0.2, 0.36)), float(rng.uniform(0, 6)), float(rng.uniform(0, 6))
    ragged = 0.035 * wave(23 * x + a) + 0.02 * wave(61 * x + b) + 0.012 * wave(131 * x + a * b)
    leaves = wave(70 * x + 9 * wave(31 * y + a)) * wave(85 * y + 7 * wave(27 * x + b))
    return y > 1 - size + ragged, 1 + 0.35 * leaves - 0.3 * (y - 1 + size)


def _shoulder(rng: Draws, y: Tensor, x: Tensor) -> _Shape:
    """Draw a person close to the camera: part of the head, the shoulder and what is below it."""
    side, size = rng.integers(2), float(rng.uniform(0.2, 0.38))
    across = (x - side).abs() / size
    top = float(rng.uniform(0.3, 0.5)) + 0.12 * across**2
    head = ((x - side).abs() / (0.55 * size)) ** 2 + ((y - top + 0.05) / 0.11) ** 2 < 1
    body = (across < 1) & (y > top)
    folds = 0.07 * wave(31 * y + 14 * x + 3 * wave(9 * y + 5 * x))
    return head | body, torch.where(head & ~body, torch.full_like(y, 0.4), 1.05 - 0.35 * across**2 + folds)


def _rail(rng: Draws, y: Tensor, x: Tensor) -> _Shape:
    """Draw a railing: two bars and posts."""
    top, gap = 1 - float(rng.uniform(0.3, 0.45)), float(rng.uniform(0.2, 0.34))
    bars = ((y - top).abs() < 0.014) | ((y - top - 0.16).abs() < 0.01)
    posts = (remainder(x + rng.uniform(0, 1), gap) < 0.045) & (y > top)
    return bars | posts, torch.where(bars, torch.full_like(y, 1.15), torch.full_like(y, 0.85))


def _chair(rng: Draws, y: Tensor, x: Tensor) -> _Shape:
    """Draw the back, the seat and the legs of a chair."""
    centre, top = float(rng.uniform(0.2, 0.8)), 1 - float(rng.uniform(0.28, 0.42))
    across = (x - centre).abs()
    back = (across < 0.24) & (y > top) & (y < top + 0.17)
    seat = (across < 0.27) & (y > top + 0.2) & (y < top + 0.25)
    legs = (across > 0.2) & (across < 0.25) & (y > top)
    return back | seat | legs, torch.where(back, 1.1 - 1.2 * (y - top), torch.full_like(y, 0.75))


_KINDS = (_desk, _pole, _bush, _shoulder, _rail, _chair)
