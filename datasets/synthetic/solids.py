"""The one primitive everything is made of.

Every part of the body, of the clothes and of the things carried is a cone between two points with balls at its
ends, in a space squeezed along one axis. Balls, capsules, ellipsoids, trunks and skirts are special cases, so that
one intersection formula serves all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets.synthetic.identity import Region
from datasets.synthetic.skeleton import Array, Pose


@dataclass(frozen=True, slots=True)
class Primitives:
    """Solids in camera axes (x right, y up, z towards the camera), for ``B`` images and ``K`` slots.

    Attributes:
        start: ``[B, K, 3]`` first end.
        end: ``[B, K, 3]`` second end.
        start_radius: ``[B, K]``; 0 where the slot is empty.
        end_radius: ``[B, K]``.
        axis: ``[B, K, 3]`` unit vector along which the solid is squeezed.
        squeeze: ``[B, K]`` its thickness along ``axis``, relative to the others.
        open_end: ``[K]`` no ball at the second end.
        trunk: ``[K]`` carries open fronts, blocks and prints.
        near: ``[B, K]`` region before ``cut``.
        far: ``[B, K]`` region beyond it.
        cut: ``[B, K]`` where the region changes, as a fraction of the way from start to end.
        forward: ``[B, 3]`` where the person looks.
        left: ``[B, 3]`` the person's left.
    """

    start: Tensor
    end: Tensor
    start_radius: Tensor
    end_radius: Tensor
    axis: Tensor
    squeeze: Tensor
    open_end: Tensor
    trunk: Tensor
    near: Tensor
    far: Tensor
    cut: Tensor
    forward: Tensor
    left: Tensor


@dataclass
class Builder:
    """Collects slots in body axes."""

    count: int
    slots: list[tuple[Array, ...]] = field(default_factory=list)
    flags: list[tuple[bool, bool]] = field(default_factory=list)

    def add(
        self,
        start: Array,
        end: Array,
        radii: tuple[Array | float, Array | float],
        region: Array | Region,
        *,
        beyond: Region | None = None,
        cut: Array | float = 9.0,
        squeeze: Array | float = 1.0,
        axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
        when: Array | NDArray[np.bool_] | bool = True,
        open_end: bool = False,
        trunk: bool = False,
    ) -> None:
        """One slot for all images; empty where ``when`` is false."""

        def row(value: Array | NDArray[np.bool_] | float | bool | Region) -> Array:
            return np.broadcast_to(np.asarray(value, dtype=np.float64), (self.count,))

        present = row(when) > 0
        far = region if beyond is None else beyond
        direction = np.broadcast_to(np.asarray(axis), (self.count, 3))
        scalars = (row(radii[0]) * present, row(radii[1]) * present, row(squeeze), row(region), row(far), row(cut))
        self.slots.append((start, end, direction, *scalars))
        self.flags.append((open_end, trunk))


def to_camera(builder: Builder, pose: Pose) -> Primitives:
    """Turn the collected slots to the camera's axes."""
    start, end, axis, ra, rb, squeeze, near, far, cut = (
        np.stack(column, axis=1) for column in zip(*builder.slots, strict=True)
    )
    ca, sa = np.cos(pose.azimuth), np.sin(pose.azimuth)
    ce, se = np.cos(pose.elevation), np.sin(pose.elevation)
    zero = np.zeros_like(ca)
    turn = np.stack([ca, zero, sa, zero, zero + 1, zero, -sa, zero, ca], -1).reshape(-1, 3, 3)
    tilt = np.stack([zero + 1, zero, zero, zero, ce, -se, zero, se, ce], -1).reshape(-1, 3, 3)
    rotate = np.einsum("bij,bjk->bik", tilt, turn)

    def view(points: Array) -> Tensor:
        return torch.from_numpy(np.einsum("bij,b...j->b...i", rotate, points)).float()

    def tensor(values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).float()

    open_end, trunk = (torch.tensor(flag) for flag in zip(*builder.flags, strict=True))
    return Primitives(
        start=view(start), end=view(end), start_radius=tensor(ra), end_radius=tensor(rb), axis=view(axis),
        squeeze=tensor(squeeze), open_end=open_end, trunk=trunk, near=tensor(near).long(), far=tensor(far).long(),
        cut=tensor(cut), forward=tensor(rotate[:, :, 2]), left=tensor(rotate[:, :, 0]),
    )  # fmt: skip
