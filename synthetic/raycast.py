"""Ray casting of squeezed, ball-ended cones with a depth test.

A cone and each of its balls is a quadric. Its intersection with the rays of one pixel row is a quadratic in the column,
so the covered columns and the coefficients of the depth are computed once per row.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import bearing, root
from usvi_bench.synthetic.solids import DISTANCE, Primitives, pick, pick_across, unit_vectors

_FAR, _STEPS = 8.0, 2.0**26
"""Depths are compared as integers: shifted by ``_FAR`` metres to be positive, then ``_STEPS`` steps per metre."""
_BLOCK = 1 << 19
"""Number of candidate pixels tested together."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Hits: the nearest surface points of the ``P`` pixels that see a primitive; vectors are ``[3, P]``.

    Attributes:
        pixel: ``[P]`` position in the flattened ``[B, H, W]`` frame.
        image: ``[P]`` image index.
        row: ``[P]`` row of the image.
        column: ``[P]`` column of the image.
        slot: ``[P]`` primitive index.
        depth: ``[P]`` metres towards the camera.
        normal: ``[3, P]`` unit normals in camera axes.
        unit: ``[3, P]`` direction of the primitive's axis in camera axes.
        along: ``[P]`` fraction of the way from the primitive's start to its end.
        length: ``[P]`` metres along the cloth.
        angle: ``[P]`` radians around the axis from the person's front, positive to the person's left.
        body: ``[3, P]`` position in body axes, metres.
    """

    pixel: Tensor
    image: Tensor
    row: Tensor
    column: Tensor
    slot: Tensor
    depth: Tensor
    normal: Tensor
    unit: Tensor
    along: Tensor
    length: Tensor
    angle: Tensor
    body: Tensor

    def select(self, points: Tensor) -> Hits:
        """Select some of the hits."""
        return Hits(**{entry.name: getattr(self, entry.name).index_select(-1, points) for entry in fields(self)})


@dataclass(frozen=True, slots=True)
class _Squeezed:
    """Primitives in their squeezed spaces, where they are round: ``[3, B, K]`` vectors and ``[B, K]`` numbers."""

    origin: Tensor
    unit: Tensor
    length: Tensor
    slope: Tensor


@dataclass(frozen=True, slots=True)
class _Rows:
    """Pixel rows that quadrics cover.

    A row covers ``count`` columns from ``first`` on; ``ends`` is True for cones, which end at their balls. With t in
    metres to the right of the middle of the covered part, the depth is -(c3 + c4 t) + sqrt(c0 + c1 t + c2 t^2), the
    fraction of the way along the cone is c5 + c6 t + c7 depth, and column i lies at t = c8 + c9 i.
    """

    image: Tensor
    slot: Tensor
    row: Tensor
    first: Tensor
    count: Tensor
    coefficients: Tensor
    ends: bool


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _squeeze(vector: Tensor, axis: Tensor, factor: Tensor) -> Tensor:
    return vector + axis * (_dot(vector, axis) * ((1 - factor) / factor))


def _prepare(solids: Primitives) -> _Squeezed:
    axis = solids.axis.movedim(-1, 0)
    start = _squeeze(solids.start.movedim(-1, 0), axis, solids.squeeze)
    span = _squeeze(solids.end.movedim(-1, 0), axis, solids.squeeze) - start
    length = root(_dot(span, span)).clamp_min(1e-5)
    slope = (solids.end_radius - solids.start_radius) / length
    return _Squeezed(start, span / length, length, slope)


def column_places(x: Tensor, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Compute the horizontal position of pixels in metres.

    Rays of even rows are a quarter of a pixel left of ``x``, those of odd rows a quarter right. Two such rows are
    averaged to one image row; the offset smooths outlines.
    """
    return pick(x, image, column) + pick(x[:, 1] - x[:, 0], image) * 0.25 * (2 * (row & 1) - 1)


def cast(solids: Primitives, x: Tensor, y: Tensor) -> Hits:
    """Cast one ray through every pixel; :func:`column_places` gives the horizontal positions.

    Args:
        solids: primitives of ``B`` images.
        x: ``[B, W]`` horizontal positions of the columns in metres, evenly spaced and ascending.
        y: ``[B, H]`` vertical positions of the rows in metres, evenly spaced and descending.
    """
    batch, height, width = y.shape[0], y.shape[1], x.shape[1]
    prepared = _prepare(solids)
    best = torch.full((batch * height * width,), -1, dtype=torch.int64, device=x.device)
    for rows in _quadrics(solids, prepared, x, y):
        _depth_test(rows, height, width, best)
    pixel = torch.nonzero(best >= 0).flatten()
    line = pixel // width
    image = line // height
    row, column = line - image * height, pixel - line * width
    key = pick(best, pixel)
    depth = ((key >> 16).double() / _STEPS - _FAR).float()
    point = torch.stack([column_places(x, image, row, column), pick(y, image, row), depth])
    return _surface_points(solids, prepared, pixel, image, row, column, key & 0xFFFF, point)


def _quadrics(solids: Primitives, own: _Squeezed, x: Tensor, y: Tensor) -> list[_Rows]:
    """Compute the pixel rows of the cones, of the balls at the first ends, and of the balls at the second ends."""
    present = solids.start_radius > 0
    real = solids.start_radius + solids.end_radius > 0
    return [
        _pixel_rows(solids, own, x, y, 0, present & (own.length > 1e-3)),
        _pixel_rows(solids, own, x, y, 1, present & ~solids.open_start),
        _pixel_rows(solids, own, x, y, 2, real & ~solids.open_end & (own.length > 1e-3)),
    ]


def _pixel_rows(solids: Primitives, own: _Squeezed, x: Tensor, y: Tensor, kind: int, chosen: Tensor) -> _Rows:
    """Compute every pixel row that a chosen quadric may cover.

    ``kind`` is 0 for cones, 1 for balls at the first ends and 2 for balls at the second ends.
    """
    image, slot = torch.nonzero(chosen, as_tuple=True)
    start, end = solids.start[image, slot], solids.end[image, slot]
    reach, far = solids.start_radius[image, slot], solids.end_radius[image, slot]
    if kind == 1:
        end, far = start, reach
    if kind == 2:
        start, reach = end, far
    low = torch.minimum(start[:, :2] - reach[:, None], end[:, :2] - far[:, None])
    high = torch.maximum(start[:, :2] + reach[:, None], end[:, :2] + far[:, None])
    step = y[:, 1] - y[:, 0]
    top = ((high[:, 1] - y[image, 0]) / step[image]).ceil().clamp(0, y.shape[1]).long()
    below = ((low[:, 1] - y[image, 0]) / step[image]).floor().clamp(-1, y.shape[1] - 1).long()
    sizes = (below - top + 1).clamp_min(0)
    each = torch.repeat_interleave(sizes)
    quadric = _quadric(solids, own, image, slot, kind).index_select(1, each)
    row = torch.arange(len(each), device=x.device) + pick(top - sizes.cumsum(0) + sizes, each)
    image, slot = pick(image, each), pick(slot, each)
    left, right, middle, around = _coefficients(quadric, pick(y, image, row))
    # Clip to the bounding box: cones that the row cuts lengthwise are unbounded.
    left = torch.maximum(left, pick(low[:, 0], each).double())
    right = torch.minimum(right, pick(high[:, 0], each).double())
    origin = column_places(x, image, row, torch.zeros_like(row)).double()
    pitch = pick(x[:, 1] - x[:, 0], image).double()
    first = ((left - origin) / pitch).ceil().clamp(0, x.shape[1]).long()
    last = ((right - origin) / pitch).floor().clamp(-1, x.shape[1] - 1).long()
    # Measure columns in metres from the middle, where the quadratics are well conditioned.
    coefficients = torch.stack([*around, origin - middle, pitch]).float()
    return _Rows(image, slot, row, first, (last - first + 1).clamp_min(0), coefficients, ends=kind == 0)


def _quadric(solids: Primitives, own: _Squeezed, image: Tensor, slot: Tensor, kind: int) -> Tensor:
    """Compute the numbers ``[29, Q]`` that all rows of a quadric share; :func:`_coefficients` unpacks them."""
    axis, unit, origin = (
        vectors[:, image, slot].double() for vectors in (solids.axis.movedim(-1, 0), own.unit, own.origin)
    )
    factor, length = solids.squeeze[image, slot].double(), own.length[image, slot].double()
    radius = (solids.end_radius if kind == 2 else solids.start_radius)[image, slot].double()
    nothing = torch.zeros_like(length)
    slope = own.slope[image, slot].double() if kind == 0 else nothing
    widen = 1 + slope * slope if kind == 0 else nothing
    if kind == 2:
        origin = origin + unit * length
    across, up, ray = (
        _squeeze(e[:, None].expand(3, len(slot)), axis, factor)
        for e in torch.eye(3, dtype=torch.float64, device=slot.device)
    )
    ray_unit, across_unit = _dot(ray, unit), _dot(across, unit)
    a = (_dot(ray, ray) - widen * ray_unit * ray_unit).clamp_min(1e-9)
    b1 = (_dot(across, ray) - widen * across_unit * ray_unit) / a
    c2 = _dot(across, across) - widen * across_unit**2
    clip = torch.stack([across_unit / length, ray_unit / length]) if kind == 0 else torch.zeros_like(origin[:2])
    numbers = (
        widen, ray_unit, across_unit, a, b1, b1 * b1 - c2 / a, radius * slope * ray_unit, 2 * radius * slope,
        radius**2, radius * slope * across_unit, solids.start[image, slot, 0].double(), length, *clip,
    )  # fmt: skip
    return torch.cat([across, up, ray, unit, origin, torch.stack(numbers)])


def _coefficients(quadric: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """Compute the left and right border on each row, their middle, and c0 to c7 of :class:`_Rows`."""
    across, up, ray, unit, origin = quadric[:15].unflatten(0, (5, 3))
    (
        widen, ray_unit, across_unit, a, b1, q2, constant_b0, constant_c0, squared, constant_c1, start, length,
        clip_across, clip_ray,
    ) = quadric[15:]  # fmt: skip

    def quadratics(base: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        base_unit = _dot(base, unit)
        b0 = (_dot(base, ray) - widen * base_unit * ray_unit - constant_b0) / a
        c0 = _dot(base, base) - widen * base_unit**2 - constant_c0 * base_unit - squared
        c1 = 2 * (_dot(across, base) - widen * base_unit * across_unit - constant_c1)
        return b0 * b0 - c0 / a, 2 * b0 * b1 - c1 / a, b0, base_unit

    base = up * y.double() - origin
    q0, q1, _, _ = quadratics(base)
    under = q1 * q1 - 4 * q0 * q2
    closed = q2 < -1e-9
    middle = torch.where(closed, -q1 / (2 * q2), start)
    half = torch.where(closed, root(under.clamp_min(0)) / (-2 * q2), 1e3)
    half = torch.where(closed & (under <= 0), -1e3, half)
    q0, q1, b0, base_unit = quadratics(base + across * middle)
    return middle - half, middle + half, middle, [q0, q1, q2, b0, b1, base_unit / length, clip_across, clip_ray]


def _depth_test(rows: _Rows, height: int, width: int, best: Tensor) -> None:
    """Update ``best`` in place with the nearest surface of every pixel."""
    covered = torch.nonzero(rows.count > 0).flatten()
    ends = rows.count[covered].cumsum(0)
    block = 0
    while block < len(covered):
        before = int(ends[block - 1]) if block else 0
        stop = max(block + 1, int(torch.searchsorted(ends, before + _BLOCK)))
        part = covered[block:stop]
        count = rows.count[part]
        each = torch.repeat_interleave(count)
        order = torch.arange(len(each), device=best.device)
        column = order + pick(rows.first[part] - count.cumsum(0) + count, each)
        coefficients = rows.coefficients[:, part]

        def c(which: int, of: Tensor = coefficients, each: Tensor = each) -> Tensor:
            return pick(of[which], each)

        t = column * c(9) + c(8)
        depth = root((c(0) + t * (c(1) + t * c(2))).clamp_min_(0)) - (c(3) + t * c(4))
        frame = pick((rows.image[part] * height + rows.row[part]) * width, each) + column
        key = depth.double().add_(_FAR).mul_(_STEPS).long().bitwise_left_shift_(16)
        key |= pick(rows.slot[part], each)
        if rows.ends:
            along = c(5) + t * c(6) + depth * c(7)
            # -1 is less than any key, and cheaper than removing these pixels.
            key.masked_fill_(~((along >= 0) & (along <= 1)), -1)
        best.scatter_reduce_(0, frame, key, "amax")
        block = stop


def _surface_points(
    solids: Primitives, own: _Squeezed, pixel: Tensor, image: Tensor, row: Tensor, column: Tensor, slot: Tensor,
    point: Tensor,
) -> Hits:  # fmt: skip
    """Compute normals and surface coordinates of the visible points."""
    place = image * solids.part.shape[0] + slot
    factor, slope, length, radius, offset = (
        pick(table.flatten(), place)
        for table in (solids.squeeze, own.slope, own.length, solids.start_radius, solids.offset)
    )
    axis, unit, origin = (
        vectors.flatten(1).index_select(1, place) for vectors in (solids.axis.movedim(-1, 0), own.unit, own.origin)
    )
    local = _squeeze(point, axis, factor) - origin
    reached = _dot(local, unit)
    centre = reached.clamp(min=torch.zeros_like(length), max=length)
    outward = local - unit * (centre + slope * (radius + slope * centre))
    ring = local - unit * reached
    rotate = pick_across(solids.rotate, image)
    away = 1 - point[2] / DISTANCE
    straight = torch.stack([point[0] * away, point[1] * away, point[2]])
    return Hits(
        pixel=pixel, image=image, row=row, column=column, slot=slot, depth=point[2],
        normal=unit_vectors(_squeeze(outward, axis, factor)), unit=unit, along=reached / length,
        length=reached + offset, angle=bearing(_dot(ring, rotate[:, 0]), _dot(ring, rotate[:, 2])),
        body=torch.stack([_dot(straight, rotate[:, i]) for i in range(3)]),
    )  # fmt: skip
