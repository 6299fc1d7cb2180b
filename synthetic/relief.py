"""Relief computed from the depth map: rounded joints, ambient occlusion in corners, shadows on the body."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from usvi_bench.synthetic.arithmetic import cosine, sine
from usvi_bench.synthetic.raycast import Hits
from usvi_bench.synthetic.solids import pick, unit, unit_vectors

_EMPTY = -1e4
_TALL = 1.95
"""Approximate height of an image in metres; it converts the radii below to whole pixels, equal for all images."""
_RING = 0.013
"""Metres over which joints between solids are rounded."""
_CORNERS = ((0.025, 0.5), (0.07, 0.7))
"""Radii in metres at which neighbours may block ambient light, and the weight of each."""
_WAY = (0.02, 0.045, 0.08, 0.13, 0.2, 0.28)
"""Distances in metres along the ray to the lamp at which blockers are tested."""


@dataclass(frozen=True, slots=True)
class Relief:
    """Relief: normals and light of the ``P`` visible points.

    Attributes:
        normal: ``[3, P]`` normals, smooth where solids meet.
        open: ``[P]`` visible fraction of the surroundings, 0 to 1.
        lit: ``[P]`` visible fraction of the lamp, 0 to 1.
    """

    normal: Tensor
    open: Tensor
    lit: Tensor


def relief(hits: Hits, shape: tuple[int, int, int], pitch: Tensor, lamp: tuple[float, float, float]) -> Relief:
    """Compute normals and light of the visible points from their depths.

    Args:
        hits: result of a cast.
        shape: number of images, height and width of the cast, whose pixels are twice as wide as high.
        pitch: ``[B]`` width of a pixel in metres.
        lamp: direction towards the light in camera axes.
    """
    batch, height, width = shape
    depth = torch.full((batch * height * width,), _EMPTY, device=pitch.device)
    depth.scatter_(0, hits.pixel, hits.depth)
    pairs = depth.view(batch, height // 2, 2, width)
    coarse = _Coarse(torch.maximum(pairs[:, :, 0], pairs[:, :, 1]), 2 * _TALL / height)
    where = (hits.image * (height // 2) + (hits.row >> 1)) * width + hits.column
    seen = pick(_open(coarse).flatten(), where)
    lit = pick(_lit(coarse, lamp).flatten(), where)
    return Relief(_round(hits, depth, shape, pitch), seen, lit)


class _Coarse:
    """Coarse depth map ``[B, H, W]`` with square pixels, ``scale`` metres wide."""

    def __init__(self, depth: Tensor, scale: float) -> None:
        self.depth, self.scale = depth, scale
        self.rim = round(_WAY[-1] / scale)
        self.wide = pad(depth, (self.rim,) * 4, value=_EMPTY)

    def rise(self, right: float, up: float) -> Tensor:
        """Compute the depth difference ``[B, H, W]`` to the point that lies ``right`` and ``up`` metres away."""
        _, height, width = self.depth.shape
        x, y = self.rim + round(right / self.scale), self.rim - round(up / self.scale)
        return self.wide[:, y : y + height, x : x + width] - self.depth


def _open(coarse: _Coarse) -> Tensor:
    seen = torch.ones_like(coarse.depth)
    for radius, weight in _CORNERS:
        shut = torch.zeros_like(seen)
        for turn in range(8):
            angle = (turn + 0.5) * math.pi / 4
            rise = coarse.rise(radius * cosine(angle), radius * sine(angle)).div_(radius)
            near = (3 - rise * 0.6).clamp_(0, 1)
            shut += rise.sub_(0.25).div_(1.3).clamp_(0, 1).mul_(near)
        seen *= 1 - weight * shut / 8
    return seen


def _lit(coarse: _Coarse, lamp: tuple[float, float, float]) -> Tensor:
    x, y, z = unit(lamp)
    lit = torch.ones_like(coarse.depth)
    for way in _WAY:
        over = coarse.rise(way * x, way * y).sub_(way * z)
        near = (0.45 - over).div_(0.1).clamp_(0, 1)
        shade = over.sub_(0.012).div_(0.02).clamp_(0, 1).mul_(near)
        lit = torch.minimum(lit, 1 - shade)
    return lit


def _round(hits: Hits, depth: Tensor, shape: tuple[int, int, int], pitch: Tensor) -> Tensor:
    """Average each normal with its neighbours of similar depth."""
    _, height, width = shape
    frame = torch.zeros(3, len(depth), device=depth.device)
    frame.scatter_(1, hits.pixel.expand(3, -1), hits.normal)
    total = 1.5 * hits.normal
    reach = pick((_RING / pitch).round().clamp_min(1).long(), hits.image)
    right, down = hits.column + reach, hits.row + 2 * reach
    for there in (
        hits.pixel + (right.clamp_max(width - 1) - hits.column),
        hits.pixel + ((hits.column - reach).clamp_min(0) - hits.column),
        hits.pixel + (down.clamp_max(height - 1) - hits.row) * width,
        hits.pixel + ((hits.row - 2 * reach).clamp_min(0) - hits.row) * width,
    ):
        alike = (1 - (pick(depth, there) - hits.depth).abs_().div_(0.03)).clamp_min_(0)
        total += frame.index_select(1, there).mul_(alike)
    return unit_vectors(total)
