"""Which primitive each pixel sees: orthographic rays against squeezed, ball-ended cones, with a depth test."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datasets.synthetic.solids import Primitives

BEHIND = -1e4
"""Depth of a pixel that sees no primitive."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What the ``P`` pixels that see a primitive see.

    Attributes:
        pixel: ``[P]`` position in the flattened ``[B, H, W]`` frame.
        image: ``[P]`` image index.
        slot: ``[P]`` primitive index.
        depth: ``[P]`` metres towards the camera.
        normal: ``[P, 3]`` unit normals in camera axes.
        along: ``[P]`` fraction of the way from the primitive's start to its end.
        length: ``[P]`` metres along the primitive from its start.
        angle: ``[P]`` radians around it from the person's front, positive to the person's left.
        radius: ``[P]`` distance from the primitive's axis in metres.
    """

    pixel: Tensor
    image: Tensor
    slot: Tensor
    depth: Tensor
    normal: Tensor
    along: Tensor
    length: Tensor
    angle: Tensor
    radius: Tensor


@dataclass(frozen=True, slots=True)
class _Squeezed:
    """Primitives in their own squeezed spaces, where they are round."""

    origin: Tensor
    ray: Tensor
    unit: Tensor
    length: Tensor
    slope: Tensor
    radius: Tensor
    axis: Tensor
    factor: Tensor


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def _squeeze(vector: Tensor, axis: Tensor, factor: Tensor) -> Tensor:
    return vector + axis * (_dot(vector, axis) * (1 / factor - 1)).unsqueeze(-1)


def _prepare(solids: Primitives) -> _Squeezed:
    start = _squeeze(solids.start, solids.axis, solids.squeeze)
    span = _squeeze(solids.end, solids.axis, solids.squeeze) - start
    length = _dot(span, span).sqrt().clamp_min(1e-5)
    towards = torch.zeros_like(start)
    towards[..., 2] = 1.0
    return _Squeezed(
        origin=start,
        ray=_squeeze(towards, solids.axis, solids.squeeze),
        unit=span / length.unsqueeze(-1),
        length=length,
        slope=(solids.end_radius - solids.start_radius) / length,
        radius=solids.start_radius,
        axis=solids.axis,
        factor=solids.squeeze,
    )


def cast(solids: Primitives, x: Tensor, y: Tensor) -> Hits:
    """Cast one ray through every pixel centre.

    Args:
        solids: primitives of ``B`` images.
        x: ``[B, W]`` metres to the right of the image columns, evenly spaced and rising.
        y: ``[B, H]`` metres upwards of the image rows, evenly spaced and falling.
    """
    batch, height, width = y.shape[0], y.shape[1], x.shape[1]
    prepared = _prepare(solids)
    depth = torch.full((batch * height * width,), BEHIND)
    winner = torch.full((batch * height * width,), -1, dtype=torch.int64)
    for slot in range(solids.start.shape[1]):
        images = torch.nonzero(solids.start_radius[:, slot] > 0).flatten()
        if len(images):
            _cast_slot(solids, prepared, slot, images, x, y, depth, winner)
    pixel = torch.nonzero(winner >= 0).flatten()
    image = pixel // (height * width)
    row, column = pixel % (height * width) // width, pixel % width
    point = torch.stack([x[image, column], y[image, row], depth[pixel]], dim=-1)
    return _surface(solids, prepared, pixel, image, winner[pixel], point)


def _window(low: Tensor, high: Tensor, first: Tensor, step: Tensor, count: int) -> Tensor:
    """``[b, n]`` indices that cover ``[low, high]`` on an even grid, one common ``n``, inside ``[0, count)``."""
    begin = ((low - first) / step).floor().long()
    size = int((((high - first) / step).ceil().long() - begin).max()) + 1
    size = min(max(size, 1), count)
    return begin.clamp(0, count - size).unsqueeze(1) + torch.arange(size)


def _cast_slot(
    solids: Primitives, own: _Squeezed, slot: int, images: Tensor, x: Tensor, y: Tensor, depth: Tensor, winner: Tensor
) -> None:
    """Test one slot against the pixels around it and keep the nearer surface, in place."""
    start, end = solids.start[images, slot], solids.end[images, slot]
    reach = torch.stack([solids.start_radius[images, slot], solids.end_radius[images, slot]])
    low = torch.minimum(start[:, :2] - reach[0, :, None], end[:, :2] - reach[1, :, None])
    high = torch.maximum(start[:, :2] + reach[0, :, None], end[:, :2] + reach[1, :, None])
    xs, ys = x[images], y[images]
    columns = _window(low[:, 0], high[:, 0], xs[:, 0], xs[:, 1] - xs[:, 0], x.shape[1])
    rows = _window(high[:, 1], low[:, 1], ys[:, 0], ys[:, 1] - ys[:, 0], y.shape[1])
    hit = _nearest(own, slot, images, xs.gather(1, columns), ys.gather(1, rows), bool(solids.open_end[slot]))
    flat = (images[:, None, None] * y.shape[1] + rows[:, :, None]) * x.shape[1] + columns[:, None, :]
    nearer = hit > depth[flat]
    depth[flat[nearer]] = hit[nearer]
    winner[flat[nearer]] = slot


def _nearest(own: _Squeezed, slot: int, images: Tensor, x: Tensor, y: Tensor, open_end: bool) -> Tensor:
    """``[b, h, w]`` depth of the nearest surface of one slot."""

    def per_image(value: Tensor) -> Tensor:
        return value[:, None, None]

    own_slot = [v[images, slot] for v in (own.ray, own.unit, own.origin, own.axis, own.factor)]
    ray, unit, origin, axis, factor = own_slot
    across, upward = x[:, None, :], y[:, :, None]

    def linear(vector: Tensor) -> Tensor:
        return across * per_image(vector[:, 0]) + upward * per_image(vector[:, 1])

    # S, the squeeze, is symmetric; with v = (x, y, 0): S v . u = v . S u, |S v|^2 = |v|^2 + (1/f^2 - 1) (v . axis)^2.
    base_ray = linear(_squeeze(ray, axis, factor)) - per_image(_dot(origin, ray))
    base_unit = linear(_squeeze(unit, axis, factor)) - per_image(_dot(origin, unit))
    base_base = across * across + upward * upward + per_image(factor**-2 - 1) * linear(axis) ** 2
    base_base = base_base - 2 * linear(_squeeze(origin, axis, factor)) + per_image(_dot(origin, origin))
    radius, slope, length = (per_image(v[images, slot]) for v in (own.radius, own.slope, own.length))
    ray_unit, ray_ray = per_image(_dot(ray, unit)), per_image(_dot(ray, ray))
    widen = 1 + slope * slope
    a = ray_ray - widen * ray_unit * ray_unit
    b = base_ray - widen * base_unit * ray_unit - radius * slope * ray_unit
    c = base_base - widen * base_unit * base_unit - 2 * radius * slope * base_unit - radius * radius
    inside = b * b - a * c
    side = (inside.clamp_min(0).sqrt() - b) / a.clamp_min(1e-6)
    along = base_unit + side * ray_unit
    depth = torch.where((inside > 0) & (a > 1e-6) & (along >= 0) & (along <= length), side, BEHIND)
    depth = torch.maximum(depth, _ball(base_ray, base_base, ray_ray, radius))
    if not open_end:
        far_ray, far_base = base_ray - length * ray_unit, base_base - 2 * length * base_unit + length * length
        depth = torch.maximum(depth, _ball(far_ray, far_base, ray_ray, radius + slope * length))
    return depth


def _ball(base_ray: Tensor, base_base: Tensor, ray_ray: Tensor, radius: Tensor) -> Tensor:
    inside = base_ray * base_ray - ray_ray * (base_base - radius * radius)
    return torch.where(inside > 0, (inside.clamp_min(0).sqrt() - base_ray) / ray_ray, BEHIND)


def _surface(solids: Primitives, own: _Squeezed, pixel: Tensor, image: Tensor, slot: Tensor, point: Tensor) -> Hits:
    """Normals and surface coordinates of the visible points."""
    axis, factor = solids.axis[image, slot], solids.squeeze[image, slot]
    unit, slope, radius, length = (v[image, slot] for v in (own.unit, own.slope, own.radius, own.length))
    local = _squeeze(point, axis, factor) - own.origin[image, slot]
    reached = _dot(local, unit)
    centre = reached.clamp(min=torch.zeros_like(length), max=length)
    outward = local - unit * (centre + slope * (radius + slope * centre)).unsqueeze(-1)
    normal = torch.nn.functional.normalize(_squeeze(outward, axis, factor), dim=-1)
    ring = local - unit * reached.unsqueeze(-1)
    angle = torch.atan2(_dot(ring, solids.left[image]), _dot(ring, solids.forward[image]))
    return Hits(
        pixel=pixel, image=image, slot=slot, depth=point[:, 2], normal=normal, along=reached / length, length=reached,
        angle=angle, radius=_dot(ring, ring).sqrt(),
    )  # fmt: skip
