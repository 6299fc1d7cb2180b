"""Shading of the visible surface points: material, pattern, creases and light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from usvi_bench.synthetic.arithmetic import blend, wave
from usvi_bench.synthetic.cameras import Camera
from usvi_bench.synthetic.cloth import creases, pattern
from usvi_bench.synthetic.clothing import Pattern
from usvi_bench.synthetic.details import paint_clothes
from usvi_bench.synthetic.face import paint_face
from usvi_bench.synthetic.identity import Person, Region
from usvi_bench.synthetic.palette import Palette, palette_of
from usvi_bench.synthetic.raycast import Hits
from usvi_bench.synthetic.relief import Relief
from usvi_bench.synthetic.solids import Part, Primitives, pick, pick_across, unit
from usvi_bench.synthetic.surface import Surface
from usvi_bench.synthetic.view import View


def shade(
    hits: Hits,
    solids: Primitives,
    people: Sequence[Person],
    views: Sequence[View],
    camera: Camera,
    gap: float,
    light: Relief,
) -> Tensor:
    """Shade the visible points.

    Args:
        hits: the visible points.
        solids: primitives that they lie on.
        people: person of each image.
        views: view of each image.
        camera: camera of all images.
        gap: 0 gives infrared the grey visible level, 1 the infrared level of the material.
        light: light on the points.

    Returns:
        ``[C, P]`` levels as fractions of full scale; three channels in visible light, one in infrared.
    """
    surface = Surface(hits, solids, people)
    paint_clothes(surface)
    paint_face(surface)
    palette = palette_of(people, camera, views, gap, hits.depth.device)
    material = hits.image * len(Region) + surface.region
    level = _woven(surface, palette, material)
    normal, fold = creases(surface, views, light.normal, camera.relief * pick(palette.crease.flatten(), material))
    fold = fold * pick(palette.fold, hits.image)
    # A lamp beside the lens hides the shading of folds, seams and corners.
    soft = replace(light, open=blend(torch.ones_like(light.open), light.open, camera.relief))
    marks = blend(torch.ones_like(fold), surface.shade * _texture(surface), camera.relief)
    reflected = level * (marks * (1 + 0.5 * fold))
    reflected = reflected * _diffuse(normal, soft, camera) + _gloss(surface, normal, light, camera)
    if camera.band != "thermal":
        return reflected
    uneven = fold + pick(palette.drift, hits.image) * _drift(surface)
    return blend(reflected, _emitted(surface, level, normal, uneven, light), gap)


def _woven(surface: Surface, palette: Palette, material: Tensor) -> Tensor:
    """Compute the levels ``[C, P]`` of the materials with their patterns."""
    level = pick_across(palette.base.flatten(0, 1), material)
    patterned = torch.nonzero(pick(palette.pattern.flatten(), material) != Pattern.PLAIN).flatten()
    own = pick(material, patterned)
    kind, period = (pick(table.flatten(), own) for table in (palette.pattern, palette.period))
    mask = pattern(surface.select(patterned), kind, period)
    base, second = (pick_across(table.flatten(0, 1), own) for table in (palette.base, palette.second))
    return level.scatter_(1, patterned.expand(len(level), -1), base + (second - base) * mask)


def _emitted(surface: Surface, level: Tensor, normal: Tensor, uneven: Tensor, light: Relief) -> Tensor:
    """Compute thermal levels: warmth, slightly lower at the rim, higher in creases and between limbs."""
    cloth = (
        (surface.region == Region.TOP) | (surface.region == Region.BOTTOM) | (surface.region == Region.INNER)
    ).float()
    seams = 0.5 * (surface.shade - 1)
    extra = uneven * cloth + 0.05 * (normal[2].clamp(0, 1) - 0.8)
    return level + (extra + 0.12 * seams + 0.08 * (1 - light.open))


def _drift(surface: Surface) -> Tensor:
    """Compute slow variations of warmth over a garment, -1 to 1; they are equal in all images of a person."""
    own = surface.per_person(lambda p: 2.4 * p.number % 6.28)
    return wave(6 * surface.length + surface.around + 1.7 * surface.part.float() + own)


def _diffuse(normal: Tensor, light: Relief, camera: Camera) -> Tensor:
    """Compute the diffuse light of the sky, the ground and the lamp."""
    x, y, z = unit(camera.light)
    direct = (normal[0] * x + normal[1] * y + normal[2] * z).clamp_min(0) * light.lit
    sky = (0.74 + 0.3 * camera.relief * normal[1]) * light.open
    level: Tensor = (camera.ambient * sky + 1.05 * (1 - camera.ambient) * direct) * 1.25
    return level


def _gloss(surface: Surface, normal: Tensor, light: Relief, camera: Camera) -> Tensor:
    """Compute highlights: sharp on leather and glasses, soft on skin, a band on hair."""
    x, y, z = unit(camera.light)
    half = unit((x, y, z + 1))
    facing = (normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2]).clamp_min(0)
    strength, sharpness = torch.zeros(len(Region)), torch.ones(len(Region), dtype=torch.int64)
    for region, height, width in (
        (Region.SKIN, 0.07, 6), (Region.HAIR, 0.1, 12), (Region.SHOES, 0.16, 14), (Region.BAG, 0.1, 10),
        (Region.HAT, 0.03, 4), (Region.TRIM, 0.3, 8), (Region.GLASSES, 0.3, 20), (Region.TOP, 0.025, 4),
    ):  # fmt: skip
        strength[region], sharpness[region] = height, width
    device = normal.device
    amount, power = pick(strength.to(device), surface.region), pick(sharpness.to(device), surface.region)
    level: Tensor = (
        amount * _whole_power(facing, power) * (0.3 + 0.7 * light.lit) * light.open * (1 - 0.5 * camera.ambient)
    )
    return level


def _whole_power(base: Tensor, power: Tensor) -> Tensor:
    """Raise numbers to powers from 0 to 31 by repeated squaring."""
    value = torch.ones_like(base)
    for bit in (1, 2, 4, 8, 16):
        value = torch.where((power & bit) > 0, value * base, value)
        base = base * base
    return value


def _texture(surface: Surface) -> Tensor:
    """Compute the factor of hair strands on the level; 1 elsewhere."""
    hair = torch.nonzero((surface.region == Region.HAIR) & surface.on(Part.HAIR, Part.HEAD)).flatten()
    x, y, z = surface.hits.body.index_select(1, hair)
    bend = 60 * wave(9 * y)
    strands = wave(230 * x + bend) * wave(190 * z + 25 * y) + 0.6 * wave(70 * y + 120 * x)
    return torch.ones_like(surface.shade).scatter_(0, hair, 1 + 0.22 * strands)
