"""Visible surface points of people and the materials painted on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import bearing
from usvi_bench.synthetic.identity import Person, Region
from usvi_bench.synthetic.raycast import Hits
from usvi_bench.synthetic.solids import Part, Primitives, pick, pick_across


class Surface:
    """Surface of ``P`` visible points; painters change ``region`` and ``shade``.

    Attributes:
        hits: positions of the points.
        solids: primitives that they lie on.
        people: person of each image.
        region: ``[P]`` region, which selects the material.
        shade: ``[P]`` factor on the level of the material.
    """

    def __init__(self, hits: Hits, solids: Primitives, people: Sequence[Person]) -> None:
        self.hits, self.solids, self.people = hits, solids, people
        self.region = torch.where(
            hits.along > self.per_solid(solids.cut), self.per_solid(solids.far), self.per_solid(solids.near)
        )
        self.shade = torch.ones_like(hits.depth)

    def select(self, points: Tensor) -> Surface:
        """Select some points, unpainted: regions and shades are those before any painting."""
        return Surface(self.hits.select(points), self.solids, self.people)

    def update(self, points: Tensor, painted: Surface) -> None:
        """Copy regions and shades of ``painted`` to ``points``."""
        self.region.scatter_(0, points, painted.region)
        self.shade.scatter_(0, points, painted.shade)

    @cached_property
    def _place(self) -> Tensor:
        return self.hits.image * len(self.solids.part) + self.hits.slot

    @cached_property
    def _marks(self) -> Tensor:
        return pick_across(self.solids.marks, self.hits.image)

    @cached_property
    def part(self) -> Tensor:
        """:class:`Part` of each point, ``[P]``."""
        return pick(self.solids.part, self.hits.slot)

    @cached_property
    def facing(self) -> Tensor:
        """Normals in body axes, ``[3, P]``."""
        return in_axes(self.hits.normal, pick_across(self.solids.rotate.transpose(1, 2), self.hits.image))

    @cached_property
    def down(self) -> Tensor:
        """Distance below the neck over the stature, ``[P]``."""
        return (self._marks[0] - self.hits.body[1]) / self._marks[3]

    @cached_property
    def across(self) -> Tensor:
        """Distance to the person's left over the stature, ``[P]``."""
        return self.hits.body[0] / self._marks[3]

    @cached_property
    def around(self) -> Tensor:
        """Angle in radians from the front, around the limb or the trunk, ``[P]``."""
        trunk = torch.nonzero(self.on(Part.TRUNK, Part.HEM)).flatten()
        left, _, forward = pick_across(self.hits.body.t(), trunk)
        return self.hits.angle.scatter(0, trunk, bearing(left, forward))

    @cached_property
    def length(self) -> Tensor:
        """Distance down the cloth in metres, ``[P]``."""
        return torch.where(self.on(Part.TRUNK, Part.HEM), self._marks[0] - self.hits.body[1], self.hits.length)

    def per_solid(self, table: Tensor) -> Tensor:
        """Look up an attribute ``[B, K]`` of the solid of each point, ``[P]``."""
        return pick(table.flatten(), self._place)

    def per_person(self, read: Callable[[Person], float]) -> Tensor:
        """Read an attribute of the person of each point, ``[P]``."""
        values = torch.tensor([float(read(person)) for person in self.people], device=self.shade.device)
        return pick(values, self.hits.image)

    def on(self, *parts: Part) -> Tensor:
        """Return True for points on one of the parts, ``[P]``."""
        wanted = torch.tensor([part in parts for part in Part], device=self.shade.device)
        return pick(wanted[self.solids.part], self.hits.slot)

    def paint(self, where: Tensor, region: Region) -> None:
        """Set the region of the points."""
        self.region.masked_fill_(where, int(region))

    def darken(self, where: Tensor, factor: float) -> None:
        """Multiply the level of the points by ``factor``."""
        self.shade = torch.where(where, self.shade * factor, self.shade)


def in_axes(vectors: Tensor, axes: Tensor) -> Tensor:
    """Convert vectors ``[3, P]`` to the axes that are the rows of ``[3, 3, P]``, summed in a fixed order."""
    x, y, z = vectors
    return torch.stack([x * axis[0] + y * axis[1] + z * axis[2] for axis in axes])
