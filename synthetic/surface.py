"""The visible points of people, with what is painted on them so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from usvi_bench.synthetic.identity import Person, Region
from usvi_bench.synthetic.raycast import Hits
from usvi_bench.synthetic.solids import Part, Primitives, pick, pick_across


class Surface:
    """``P`` points; painters change ``region`` and ``shade``.

    Attributes:
        hits: where the points are.
        solids: what they lie on.
        people: whom they belong to.
        region: ``[P]`` material.
        shade: ``[P]`` factor on its level.
    """

    def __init__(self, hits: Hits, solids: Primitives, people: Sequence[Person]) -> None:
        self.hits, self.solids, self.people = hits, solids, people
        self.region = torch.where(hits.along > self.of(solids.cut), self.of(solids.far), self.of(solids.near))
        self.shade = torch.ones_like(hits.depth)

    def at(self, points: Tensor) -> Surface:
        """Some of its points, as long as nothing is painted on them."""
        return Surface(self.hits.at(points), self.solids, self.people)

    def lay(self, points: Tensor, painted: Surface) -> None:
        """Take over what was painted on some of the points."""
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
        """``[P]`` kind of solid."""
        return pick(self.solids.part, self.hits.slot)

    @cached_property
    def facing(self) -> Tensor:
        """``[3, P]`` normals in body axes."""
        return in_axes(self.hits.normal, pick_across(self.solids.rotate.transpose(1, 2), self.hits.image))

    @cached_property
    def down(self) -> Tensor:
        """``[P]`` height below the neck over the stature."""
        return (self._marks[0] - self.hits.body[1]) / self._marks[3]

    @cached_property
    def across(self) -> Tensor:
        """``[P]`` metres to the person's left over the stature."""
        return self.hits.body[0] / self._marks[3]

    @cached_property
    def around(self) -> Tensor:
        """``[P]`` radians from the front, about the limb or about the trunk."""
        trunk = torch.nonzero(self.on(Part.TRUNK, Part.HEM)).flatten()
        left, _, forward = pick_across(self.hits.body.t(), trunk)
        return self.hits.angle.scatter(0, trunk, bearing(left, forward))

    @cached_property
    def length(self) -> Tensor:
        """``[P]`` metres down the cloth."""
        return torch.where(self.on(Part.TRUNK, Part.HEM), self._marks[0] - self.hits.body[1], self.hits.length)

    def of(self, table: Tensor) -> Tensor:
        """``[P]`` an attribute of the solid each point lies on, from ``[B, K]``."""
        return pick(table.flatten(), self._place)

    def own(self, read: Callable[[Person], float]) -> Tensor:
        """``[P]`` an attribute of the person each point belongs to."""
        values = torch.tensor([float(read(person)) for person in self.people], device=self.shade.device)
        return pick(values, self.hits.image)

    def on(self, *parts: Part) -> Tensor:
        """``[P]`` whether a point lies on one of these."""
        wanted = torch.tensor([part in parts for part in Part], device=self.shade.device)
        return pick(wanted[self.solids.part], self.hits.slot)

    def paint(self, where: Tensor, region: Region) -> None:
        """Give the points another material."""
        self.region.masked_fill_(where, int(region))

    def darken(self, where: Tensor, factor: float) -> None:
        """Scale the level of the points."""
        self.shade = torch.where(where, self.shade * factor, self.shade)


def in_axes(vectors: Tensor, axes: Tensor) -> Tensor:
    """``[3, P]`` vectors in the axes that are the rows of ``[3, 3, P]``, summed in one order."""
    x, y, z = vectors
    return torch.stack([x * axis[0] + y * axis[1] + z * axis[2] for axis in axes])


def bearing(left: Tensor, forward: Tensor) -> Tensor:
    """``[P]`` radians to the left."""
    # In rows of memory: of two plain vectors torch takes the angle by another routine, which differs in the last bit.
    rows = torch.stack([left, forward], -1)
    return torch.atan2(rows[:, 0], rows[:, 1])
