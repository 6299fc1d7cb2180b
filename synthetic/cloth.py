"""Patterns and creases of cloth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import falloff, wave
from usvi_bench.synthetic.clothing import Pattern
from usvi_bench.synthetic.identity import Region
from usvi_bench.synthetic.solids import Part, pick, unit_vectors
from usvi_bench.synthetic.surface import Surface
from usvi_bench.synthetic.view import View

_CLOTH = (Region.TOP, Region.BOTTOM, Region.INNER, Region.SCARF)
_GIRTH = {Part.TRUNK: 0.15, Part.HEM: 0.15, Part.ARM: 0.05, Part.LEG: 0.08}
"""Metres per radian around each part; a constant keeps a pattern's size on parts of varying width."""


def _step(wave: Tensor) -> Tensor:
    return (wave * 4 + 0.5).clamp(0, 1)


def _cosine(angle: Tensor) -> Tensor:
    return wave(angle + math.pi / 2)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    # A library may merge a product and the difference, which rounds differently.
    return torch.stack([a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)])


def _around(surface: Surface) -> Tensor:
    """Compute the distance ``[P]`` in metres around the body from the front."""
    girth = torch.full((len(Part),), 0.06)
    for part, metres in _GIRTH.items():
        girth[part] = metres
    return surface.around * pick(girth.to(surface.shade.device)[surface.solids.part], surface.hits.slot)


def pattern(surface: Surface, kind: Tensor, period: Tensor) -> Tensor:
    """Compute the share ``[P]`` of the second colour, 0 to 1; the pattern is fixed to the cloth in all views."""
    turn = 2 * math.pi / period
    down, around = wave(surface.length * turn), wave(_around(surface) * turn)
    front = surface.on(Part.TRUNK, Part.HEM) & (surface.facing[2] > 0.2)
    x, y = surface.across, surface.down - 0.11
    inside = (x.abs() < 0.058) & (y.abs() < 0.055)
    motif = wave(x * 190 + wave(y * 140) * 1.4 + period * 90) + wave(y * 230 + x * 60 + period * 50)
    shapes = {
        Pattern.RINGS: _step(down),
        Pattern.STRIPES: _step(around),
        Pattern.PLAID: 0.5 * _step(down) + 0.5 * _step(around),
        Pattern.DOTS: _step(down * around - 0.35),
        Pattern.BLOCK: ((surface.down > 0.09) & (surface.down < 0.09 + 1.3 * period)).float(),
        Pattern.PRINT: (front & inside).float() * _step(motif + 0.3),
    }
    mask = torch.zeros_like(surface.length)
    for name, shape in shapes.items():
        mask = torch.where(kind == float(name), shape, mask)
    return mask


def creases(surface: Surface, views: Sequence[View], normal: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the normals of creased cloth.

    Sleeves and trousers crease around elbows and knees, trunks slantwise at the waist; skirts hang in pleats. Creases
    change with the phase of the walk.

    Args:
        surface: the visible points.
        views: view of each image.
        normal: ``[3, P]`` normals without creases.
        depth: ``[P]`` depth of the creases.

    Returns:
        ``[3, P]`` normals, and ``[P]`` signed height of the creases, -1 to 1.
    """
    hits, slot = surface.hits, surface.hits.slot.float()
    phase = pick(torch.tensor([view.phase for view in views], device=slot.device, dtype=torch.float32), hits.image)
    own = surface.per_person(lambda p: p.number * 1.7 % 6.28) + 0.6 * wave(phase + slot)
    around, length = _around(surface), surface.length
    limb, hem = surface.on(Part.ARM, Part.LEG).float(), surface.on(Part.HEM).float()
    trunk = surface.on(Part.TRUNK).float()
    joint = (1 - 3.2 * torch.minimum(hits.along, 1 - hits.along).clamp_min(0)).clamp_min(0.15)
    warp = wave(around * 24 + 1.9 * slot + own) + 0.6 * wave(length * 17 - own)
    rings = _cosine(length * 105 + around * 26 * wave(own + 3 * slot) + 2.2 * warp + 2.1 * slot)
    slant = _cosine(length * 47 + around * 52 * wave(own + slot) + 1.7 * warp + own)
    pleats = _cosine(around * 80 + 0.8 * warp + own)
    # Creases occur in patches and are sharper on one side.
    patch = (0.35 + 0.65 * wave(length * 21 + around * 33 + 1.2 * warp + 2 * own)).clamp_min(0.0)
    rings, slant = rings * rings.abs() * patch, slant * (0.4 + 0.6 * patch)
    waist = falloff(((surface.down - 0.21) / 0.08) ** 2) + 0.3
    along = limb * (0.34 * joint * rings + 0.12 * slant) + trunk * waist * 0.24 * slant + 0.08 * hem * slant
    across = 0.1 * limb * slant + trunk * 0.12 * slant + hem * 0.34 * hits.along.clamp(0, 1) * pleats
    creased = torch.tensor([region in _CLOTH for region in Region], device=slot.device)
    cloth = depth * pick(creased, surface.region)
    along, across = along * cloth, across * cloth
    bent = normal - along * hits.unit - across * _cross(normal, hits.unit)
    return unit_vectors(bent), (1.3 * (along + across)).clamp(-1, 1)
