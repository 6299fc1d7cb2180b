"""Solid primitive of all bodies, clothes and bags.

A solid is a cone between two points with balls at its ends, in a space squeezed along one axis. Balls, capsules,
ellipsoids, trunks and skirts are special cases, so one intersection formula covers all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.synthetic.arithmetic import cosine, root, sine
from usvi_bench.synthetic.identity import Region
from usvi_bench.synthetic.skeleton import Array, Pose, distance

DISTANCE = 6.0
"""Distance from the camera to the person in metres; it sets the perspective."""


class Part(IntEnum):
    """Part of a person that a solid belongs to; selects the details painted on it."""

    TRUNK = 0
    HEM = 1
    ARM = 2
    HAND = 3
    LEG = 4
    FOOT = 5
    HEAD = 6
    HAIR = 7
    HAT = 8
    COLLAR = 9
    BAG = 10
    STRAP = 11
    BARE_LEG = 12


@dataclass(frozen=True, slots=True)
class Primitives:
    """Primitives: solids in camera axes (x right, y up, z towards the camera), for ``B`` images and ``K`` slots.

    Attributes:
        start: ``[B, K, 3]`` first end.
        end: ``[B, K, 3]`` second end.
        start_radius: ``[B, K]``; 0 where the slot is empty.
        end_radius: ``[B, K]``.
        axis: ``[B, K, 3]`` unit vector along which the solid is squeezed.
        squeeze: ``[B, K]`` thickness along ``axis``, relative to the other directions.
        offset: ``[B, K]`` metres of the same cloth before the first end.
        near: ``[B, K]`` region before ``cut``.
        far: ``[B, K]`` region after ``cut``.
        cut: ``[B, K]`` fraction of the way from start to end at which the region changes.
        open_start: ``[K]`` True without a ball at the first end.
        open_end: ``[K]`` True without a ball at the second end.
        part: ``[K]`` a :class:`Part`.
        rotate: ``[B, 3, 3]`` rotation from body axes to camera axes.
        head: ``[B, 3, 3]`` rotation from body axes to head axes.
        marks: ``[B, 4]`` metres: height of the neck, height of the lower end of a garment over the hips, half the
            height of the head, stature.
        skull: ``[B, 3]`` centre of the head in body axes.
    """

    start: Tensor
    end: Tensor
    start_radius: Tensor
    end_radius: Tensor
    axis: Tensor
    squeeze: Tensor
    offset: Tensor
    near: Tensor
    far: Tensor
    cut: Tensor
    open_start: Tensor
    open_end: Tensor
    part: Tensor
    rotate: Tensor
    head: Tensor
    marks: Tensor
    skull: Tensor

    def to(self, device: str | torch.device) -> Primitives:
        """Copy the solids to another device."""
        return Primitives(**{entry.name: getattr(self, entry.name).to(device) for entry in fields(self)})


Amount = Array | NDArray[np.bool_] | float | bool | Region


@dataclass
class Builder:
    """Builder that collects solids for ``count`` images in body axes, one slot at a time."""

    count: int
    slots: list[tuple[Array, ...]] = field(default_factory=list)
    flags: list[tuple[bool, bool, Part]] = field(default_factory=list)

    def _row(self, value: Any) -> Array:
        row = np.empty(self.count)
        row[:] = value
        return row

    def _points(self, value: Any) -> Array:
        points = np.empty((self.count, 3))
        points[:] = value
        return points

    def add(
        self,
        part: Part,
        start: Array,
        end: Array,
        radii: tuple[Amount, Amount],
        region: Amount,
        *,
        beyond: Amount | None = None,
        cut: Amount = 9.0,
        squeeze: Amount = 1.0,
        axis: Array | tuple[float, float, float] = (0.0, 0.0, 1.0),
        offset: Amount = 0.0,
        when: Amount = True,
        open_start: bool = False,
        open_end: bool = False,
    ) -> None:
        """Add one slot to all images; it is empty where ``when`` is False."""
        present = self._row(when) > 0
        start, end, direction = (self._points(value) for value in (start, end, axis))
        first, last = self._row(radii[0]) * present, self._row(radii[1]) * present
        scalars = (squeeze, region, region if beyond is None else beyond, cut, offset)
        self.slots.append((start, end, direction, first, last, *(self._row(value) for value in scalars)))
        self.flags.append((open_start, open_end, part))

    def chain(
        self,
        part: Part,
        points: Sequence[Array],
        radii: Sequence[Amount],
        region: Amount,
        *,
        squeeze: Amount = 1.0,
        axis: Array | tuple[float, float, float] = (0.0, 0.0, 1.0),
        offset: Array | float = 0.0,
        when: Amount = True,
        open_start: bool = False,
        open_end: bool = False,
    ) -> None:
        """Add solids end to end that share one cloth."""
        for i in range(len(points) - 1):
            last = i == len(points) - 2
            self.add(
                part, points[i], points[i + 1], (radii[i], radii[i + 1]), region, squeeze=squeeze, axis=axis,
                offset=offset, when=when, open_start=open_start or i > 0, open_end=open_end and last,
            )  # fmt: skip
            offset = offset + distance(points[i + 1], points[i])


def to_camera(builder: Builder, pose: Pose, joints: dict[str, Array]) -> Primitives:
    """Convert the collected slots to camera axes, with perspective."""
    start, end, axis, ra, rb, squeeze, near, far, cut, offset = (
        np.stack(column, axis=1) for column in zip(*builder.slots, strict=True)
    )
    rotate = rotations(pose.azimuth, pose.elevation)

    def view(points: Array) -> Array:
        # Explicit sum: the order in which a matrix product sums differs between machines.
        turned = sum(rotate[:, None, :, j] * points[:, :, None, j] for j in range(3))
        return np.asarray(turned)

    def tensor(values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).float()

    start, end = view(start), view(end)
    close_start, close_end = (DISTANCE / (DISTANCE - points[..., 2]) for points in (start, end))
    start[..., :2] *= close_start[..., None]
    end[..., :2] *= close_end[..., None]
    open_start, open_end, part = (torch.tensor(flag) for flag in zip(*builder.flags, strict=True))
    marks = np.stack([joints["neck"][:, 1], joints["hem"], joints["skull"], joints["stature"]], -1)
    return Primitives(
        start=tensor(start), end=tensor(end), start_radius=tensor(ra * close_start), end_radius=tensor(rb * close_end),
        axis=tensor(view(axis)), squeeze=tensor(squeeze), offset=tensor(offset), near=tensor(near).long(),
        far=tensor(far).long(), cut=tensor(cut), open_start=open_start, open_end=open_end, part=part,
        rotate=tensor(rotate), head=tensor(joints["head axes"]), marks=tensor(marks), skull=tensor(joints["head"]),
    )  # fmt: skip


def pick(table: Tensor, *index: Tensor) -> Tensor:
    """Return ``table[index]`` for equally long indices of the first axes; ``index_select`` is several times faster."""
    place = index[0]
    for size, own in zip(table.shape[1:], index[1:], strict=False):
        place = place * size + own
    return table.flatten(0, len(index) - 1).index_select(0, place)


def pick_across(table: Tensor, place: Tensor) -> Tensor:
    """Select rows of a table ``[N, ...]`` and lay them along the last axis, ``[..., P]``.

    Operations on single coordinates are fast in this order.
    """
    columns: Tensor = table.flatten(1).t().contiguous().index_select(1, place).unflatten(0, table.shape[1:])
    return columns


def unit_vectors(vectors: Tensor) -> Tensor:
    """Normalise vectors ``[3, P]``."""
    x, y, z = vectors
    return vectors / root(x * x + y * y + z * z).clamp_min(1e-12)


def unit(vector: Sequence[float]) -> tuple[float, float, float]:
    """Normalise one vector."""
    x, y, z = vector
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def rotations(azimuth: Array, elevation: Array) -> Array:
    """Make rotations ``[B, 3, 3]``: by ``azimuth`` about the vertical, then by the camera's tilt ``elevation``."""
    ca, sa, ce, se = cosine(azimuth), sine(azimuth), cosine(elevation), sine(elevation)
    zero = np.zeros_like(ca)
    rows = [[ca, zero, sa], [se * sa, ce, -se * ca], [-ce * sa, se, ce * ca]]
    return np.stack([np.stack(row, -1) for row in rows], axis=-2)
