"""What the depths of a picture tell of its light: soft joints, corners that get less light, shadows on the body."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize, pad

from datasets.synthetic.raycast import Hits
from datasets.synthetic.solids import pick

_EMPTY = -1e4
_TALL = 1.95
"""Metres that an image shows from top to bottom, about: radii below are whole numbers of pixels, the same for all."""
_RING = 0.013
"""Metres over which the meeting of two solids is rounded."""
_CORNERS = ((0.025, 0.5), (0.07, 0.7))
"""Radii in metres at which neighbours are asked whether they stand in the light, and the weight of the answer."""
_WAY = (0.02, 0.045, 0.08, 0.13, 0.2, 0.28)
"""Metres on the way to the lamp at which something may stand in it."""


@dataclass(frozen=True, slots=True)
class Relief:
    """Light on the ``P`` visible points.

    Attributes:
        normal: ``[P, 3]`` normals, smooth where solids meet.
        open: ``[P]`` how much of the surroundings a point sees, 0 to 1.
        lit: ``[P]`` how much of the lamp it sees, 0 to 1.
    """

    normal: Tensor
    open: Tensor
    lit: Tensor


def relief(hits: Hits, shape: tuple[int, int, int], pitch: Tensor, lamp: tuple[float, float, float]) -> Relief:
    """Read the depths.

    Args:
        hits: of a cast.
        shape: images, height and width of the cast, whose pixels are twice as wide as high.
        pitch: ``[B]`` width of a pixel in metres.
        lamp: direction towards the light in camera axes.
    """
    batch, height, width = shape
    depth = torch.full((batch * height * width,), _EMPTY, device=pitch.device)
    depth.index_copy_(0, hits.pixel, hits.depth)
    coarse = max_pool2d(depth.view(batch, 1, height, width), (2, 1))[:, 0]
    row, column = hits.pixel % (height * width) // width // 2, hits.pixel % width
    where = (hits.image * (height // 2) + row) * width + column
    scale = 2 * _TALL / height
    seen = pick(_open(coarse, scale).flatten(), where)
    lit = pick(_lit(coarse, scale, lamp).flatten(), where)
    return Relief(_round(hits, depth, shape, pitch), seen, lit)


def _shifted(depth: Tensor, right: float, up: float, scale: float) -> Tensor:
    """Depths found that many metres to the right and up; ``scale`` is the width of a pixel."""
    x, y = round(right / scale), -round(up / scale)
    sides = (max(-x, 0), max(x, 0), max(-y, 0), max(y, 0))
    wide = pad(depth, sides, value=_EMPTY)
    return wide[:, max(y, 0) : max(y, 0) + depth.shape[1], max(x, 0) : max(x, 0) + depth.shape[2]]


def _open(depth: Tensor, scale: float) -> Tensor:
    seen = torch.ones_like(depth)
    for radius, weight in _CORNERS:
        shut = torch.zeros_like(depth)
        for turn in range(8):
            angle = (turn + 0.5) * math.pi / 4
            rise = _shifted(depth, radius * math.cos(angle), radius * math.sin(angle), scale) - depth
            shut += ((rise / radius - 0.25) / 1.3).clamp(0, 1) * (3 - rise / radius * 0.6).clamp(0, 1)
        seen = seen * (1 - weight * shut / 8)
    return seen


def _lit(depth: Tensor, scale: float, lamp: tuple[float, float, float]) -> Tensor:
    x, y, z = (value / math.sqrt(sum(v * v for v in lamp)) for value in lamp)
    lit = torch.ones_like(depth)
    for way in _WAY:
        over = _shifted(depth, way * x, way * y, scale) - depth - way * z
        lit = torch.minimum(lit, 1 - ((over - 0.012) / 0.02).clamp(0, 1) * ((0.45 - over) / 0.1).clamp(0, 1))
    return lit


def _round(hits: Hits, depth: Tensor, shape: tuple[int, int, int], pitch: Tensor) -> Tensor:
    """Mean of the normals around, of surfaces about as deep."""
    _, height, width = shape
    frame = torch.zeros(len(depth), 3, device=depth.device)
    frame.index_copy_(0, hits.pixel, hits.normal)
    total = 1.5 * hits.normal
    reach = pick((_RING / pitch).round().clamp_min(1).long(), hits.image)
    row, column = hits.pixel % (height * width) // width, hits.pixel % width
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        right = (column + x * reach).clamp(0, width - 1) - column
        down = (row + 2 * y * reach).clamp(0, height - 1) - row
        there = hits.pixel + right + down * width
        alike = (1 - (pick(depth, there) - hits.depth).abs() / 0.03).clamp_min(0)
        total = total + alike.unsqueeze(-1) * pick(frame, there)
    return normalize(total, dim=-1)
