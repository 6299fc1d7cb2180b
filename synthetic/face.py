"""Face and hairline, painted in the coordinates of the head."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import bearing, falloff, wave
from usvi_bench.synthetic.identity import Region
from usvi_bench.synthetic.solids import Part, pick, pick_across
from usvi_bench.synthetic.surface import Surface, in_axes

_LINE = ((0.0, 0.62), (0.55, 0.6), (0.85, 0.5), (1.1, 0.3), (1.3, -0.02), (1.5, 0.0), (1.75, 0.0), (1.95, -0.45),
         (3.2, -0.62))  # fmt: skip
"""Hairline: angle from the nose in radians, height in units of half the head."""


def paint_face(surface: Surface) -> None:
    """Paint hair, brows, eyes, mouth, beard, glasses and mask."""
    chosen = torch.nonzero(surface.on(Part.HEAD)).flatten()
    if not len(chosen):
        return
    face = _Face(surface.select(chosen))
    face.skin()
    face.hair()
    face.features()
    face.worn()
    surface.update(chosen, face.surface)


class _Face:
    """Face points: ``x`` to the person's left, ``y`` up, ``z`` forward, in units of half the head."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        image, solids = surface.hits.image, surface.solids
        place = in_axes(surface.hits.body - pick_across(solids.skull, image), pick_across(solids.head, image))
        self.x, self.y, self.z = (place / pick(solids.marks[:, 2], image)).unbind()
        self.front = self.z > 0.25
        self.side = bearing(self.x.abs(), self.z)
        self.grain = wave(57 * self.x + 31 * self.z) * wave(43 * self.y + 19 * self.x)

    def _attribute(self, name: str) -> Tensor:
        return self.surface.per_person(lambda p: getattr(p.body if hasattr(p.body, name) else p.outfit, name))

    def _style(self, *names: str) -> Tensor:
        return self.surface.per_person(lambda p: p.body.style in names) > 0

    def _blob(self, x: float, y: float, wide: float, high: float) -> Tensor:
        """Compute the squared distance from (±x, y), in units of an ellipse's half axes."""
        return ((self.x.abs() - x) / wide) ** 2 + ((self.y - y) / high) ** 2

    def skin(self) -> None:
        """Darken the eye sockets, the sides of the nose, and the areas below nose and lip."""
        sockets = 0.3 * falloff(self._blob(0.29, 0.13, 0.2, 0.13))
        nose = 0.18 * falloff(self._blob(0.16, -0.08, 0.07, 0.2)) + 0.3 * falloff(self._blob(0, -0.27, 0.14, 0.06))
        chin = 0.18 * falloff(self._blob(0, -0.66, 0.2, 0.05))
        self.surface.shade *= torch.where(self.front, 1 - sockets - nose - chin, 1.0)

    def hair(self) -> None:
        """Paint hair above the hairline and the beard."""
        line = _between(self.side, _LINE) - 0.14 * self._attribute("fringe") * (self.side < 1.0)
        hair = (self.y > line + 0.05 * self.grain) & ~self._style("bald")
        self.surface.paint(hair, Region.HAIR)
        beard = self._attribute("beard")
        cheek = (self.y < -0.3 - 0.25 * (self.side < 0.4) * (self.y > -0.42) + 0.04 * self.grain) & (self.side < 1.4)
        cheek |= (self.y < 0.1) & (self.side > 1.1) & (self.side < 1.4)
        bare = self._blob(0, -0.47, 0.25, 0.08) < 1
        self.surface.paint(cheek & ~bare & (beard > 0.9), Region.HAIR)
        self.surface.darken(cheek & (beard > 0.2) & (beard < 0.9), 0.72)
        moustache = (self._blob(0, -0.36, 0.26, 0.07) < 1) & self.front & (beard > 0.9)
        self.surface.paint(moustache, Region.HAIR)

    def features(self) -> None:
        """Paint brows, eyes and mouth."""
        brow = self.y - 0.03 * (self.x.abs() - 0.3)
        brows = ((self.x.abs() - 0.3).abs() < 0.17) & ((brow - 0.27).abs() < 0.045) & self.front
        self.surface.paint(brows, Region.HAIR)
        self.surface.paint((self._blob(0.29, 0.1, 0.15, 0.065) < 1) & self.front, Region.WHITE)
        self.surface.paint((self._blob(0.29, 0.1, 0.085, 0.075) < 1) & self.front, Region.EYES)
        self.surface.paint((self._blob(0, -0.47, 0.23, 0.055) < 1) & self.front, Region.LIPS)

    def worn(self) -> None:
        """Paint mask and glasses."""
        mask = (self.y < -0.06 - 0.12 * self.side) & (self.y > -0.95) & (self.side < 1.15)
        loop = (self.side >= 1.15) & (self.side < 1.7) & ((self.y + 0.12).abs() < 0.035)
        self.surface.paint((mask | loop) & (self._attribute("mask") > 0), Region.MASK)
        ring = self._blob(0.29, 0.09, 0.22, 0.16)
        rims = self.front & (ring < 1) & (ring > 0.55) | (
            self.front & (self.x.abs() < 0.12) & ((self.y - 0.13).abs() < 0.04)
        )
        temples = (self.side > 0.75) & (self.side < 1.6) & ((self.y - 0.13).abs() < 0.045)
        glasses = self._attribute("glasses") > 0
        self.surface.paint((rims | temples) & glasses, Region.GLASSES)
        self.surface.darken(self.front & (ring < 0.55) & glasses, 0.85)


def _between(at: Tensor, points: tuple[tuple[float, float], ...]) -> Tensor:
    """Interpolate linearly between ``points``, whose first coordinates rise."""
    value = torch.full_like(at, points[0][1])
    for (left, low), (right, high) in pairwise(points):
        share = ((at - left) / (right - left)).clamp(0, 1)
        value = value + share * (high - low)
    return value
