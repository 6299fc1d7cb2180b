"""The visible points of people, with what is painted on them so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from datasets.synthetic.identity import Person, Region
from datasets.synthetic.raycast import Hits
from datasets.synthetic.solids import Part, Primitives, pick


class Surface:
    """``P`` points; painters change ``region`` and ``shade``.

    Attributes:
        hits: where the points are.
        solids: what they lie on.
        people: whom they belong to.
        part: ``[P]`` kind of solid.
        region: ``[P]`` material.
        shade: ``[P]`` factor on its level.
        facing: ``[P, 3]`` normals in body axes.
        down: ``[P]`` height below the neck over the stature.
        across: ``[P]`` metres to the person's left over the stature.
        around: ``[P]`` radians from the front, about the limb or about the trunk.
        length: ``[P]`` metres down the cloth.
    """

    def __init__(self, hits: Hits, solids: Primitives, people: Sequence[Person]) -> None:
        self.hits, self.solids, self.people = hits, solids, people
        image, slot = hits.image, hits.slot
        self.part = pick(solids.part, slot)
        near, far, cut = (pick(table, image, slot) for table in (solids.near, solids.far, solids.cut))
        self.region = torch.where(hits.along > cut, far, near)
        self.shade = torch.ones_like(hits.depth)
        self.facing = in_axes(hits.normal, pick(solids.rotate.transpose(1, 2), image))
        neck, stature = pick(solids.marks[:, 0], image), pick(solids.marks[:, 3], image)
        self.down = (neck - hits.body[:, 1]) / stature
        self.across = hits.body[:, 0] / stature
        trunk = self.on(Part.TRUNK, Part.HEM)
        self.around = torch.where(trunk, torch.atan2(hits.body[:, 0], hits.body[:, 2]), hits.angle)
        self.length = torch.where(trunk, neck - hits.body[:, 1], hits.length)

    def own(self, read: Callable[[Person], float]) -> Tensor:
        """``[P]`` an attribute of the person each point belongs to."""
        values = torch.tensor([float(read(person)) for person in self.people], device=self.shade.device)
        return pick(values, self.hits.image)

    def on(self, *parts: Part) -> Tensor:
        """``[P]`` whether a point lies on one of these."""
        found = torch.zeros_like(self.part, dtype=torch.bool)
        for part in parts:
            found |= self.part == part
        return found

    def paint(self, where: Tensor, region: Region) -> None:
        """Give the points another material."""
        self.region = torch.where(where, int(region), self.region)

    def darken(self, where: Tensor, factor: float) -> None:
        """Scale the level of the points."""
        self.shade = torch.where(where, self.shade * factor, self.shade)


def in_axes(vectors: Tensor, axes: Tensor) -> Tensor:
    """``[P, 3]`` vectors in the axes that are the rows of ``[P, 3, 3]``, summed in one order."""
    return torch.stack(
        [sum((vectors[:, j] * axes[:, i, j] for j in range(1, 3)), vectors[:, 0] * axes[:, i, 0]) for i in range(3)], -1
    )
