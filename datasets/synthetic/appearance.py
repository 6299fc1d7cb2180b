"""How the visible surface of a person looks to a sensor: material, pattern, folds and light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datasets.synthetic.cameras import Camera
from datasets.synthetic.clothing import Pattern
from datasets.synthetic.identity import Person, Region
from datasets.synthetic.palette import palette_of
from datasets.synthetic.raycast import Hits
from datasets.synthetic.solids import Primitives
from datasets.synthetic.view import View


def shade(
    hits: Hits, solids: Primitives, people: Sequence[Person], views: Sequence[View], camera: Camera, gap: float
) -> Tensor:
    """``[P, 3]`` levels of the visible points, fractions of full scale."""
    image, slot = hits.image, hits.slot
    trunk = solids.trunk[slot]
    region = torch.where(hits.along > solids.cut[image, slot], solids.far[image, slot], solids.near[image, slot])
    opening = torch.tensor([person.outfit.opening for person in people])[image]
    inner = (region == Region.TOP) & trunk & (hits.angle.abs() < opening)
    region = torch.where(inner, torch.full_like(region, Region.INNER), region)
    palette = palette_of(people, camera.band, views, gap)
    mask = _pattern(hits, trunk, palette.pattern[image, region], palette.period[image, region])
    base, second = palette.base[image, region], palette.second[image, region]
    level = base + (second - base) * mask.unsqueeze(-1)
    cloth = ((region == Region.TOP) | (region == Region.BOTTOM) | (region == Region.INNER)).float()
    fold = _folds(hits, views) * cloth
    if camera.band == "thermal":
        rim = hits.normal[:, 2].clamp(0, 1)
        emitted = level + ((0.09 * fold + 0.06 * _drift(hits, views)) * cloth + 0.05 * (rim - 0.8)).unsqueeze(-1)
        return torch.lerp(level * _lambert(hits, camera, fold, 0.12), emitted, gap)
    return level * _lambert(hits, camera, fold, 0.14 if camera.band == "visible" else 0.05)


def _lambert(hits: Hits, camera: Camera, fold: Tensor, depth: float) -> Tensor:
    light = torch.nn.functional.normalize(torch.tensor(camera.light), dim=0)
    direct = (hits.normal @ light).clamp_min(0)
    sky = 0.8 + 0.2 * hits.normal[:, 1]
    return ((camera.ambient * sky + (1 - camera.ambient) * direct) * 1.15 * (1 + depth * fold)).unsqueeze(-1)


def _step(wave: Tensor) -> Tensor:
    return (wave * 4 + 0.5).clamp(0, 1)


def _pattern(hits: Hits, trunk: Tensor, kind: Tensor, period: Tensor) -> Tensor:
    """How much of the second colour shows, 0 to 1; the pattern lies in the cloth, whatever the view."""
    turn = 2 * np.pi / period
    down, around = torch.sin(hits.length * turn), torch.sin(hits.angle * 0.15 * turn)
    front = trunk & (hits.angle.abs() < 0.75)
    shapes = {
        Pattern.RINGS: _step(down),
        Pattern.STRIPES: _step(around),
        Pattern.PLAID: 0.5 * _step(down) + 0.5 * _step(around),
        Pattern.DOTS: _step(down * around - 0.35),
        Pattern.BLOCK: ((hits.along > 0.45) & trunk).float(),
        Pattern.PRINT: (front & (hits.along > 0.25) & (hits.along < 0.85)).float(),
    }
    mask = torch.zeros_like(hits.length)
    for pattern, shape in shapes.items():
        mask = torch.where(kind == float(pattern), shape, mask)
    return mask


def _phases(views: Sequence[View], index: Tensor) -> Tensor:
    return torch.tensor([view.phase for view in views], dtype=torch.float32)[index]


def _folds(hits: Hits, views: Sequence[View]) -> Tensor:
    """Creases that move with the walk, -1 to 1."""
    phase, slot = _phases(views, hits.image), hits.slot.float()
    coarse = torch.sin(19 * hits.length + 2 * hits.angle + 2.1 * slot + 0.7 * phase)
    fine = torch.sin(47 * hits.length - 3 * hits.angle + 1.3 * slot - phase)
    return 0.55 * coarse * fine + 0.45 * fine * torch.cos(hits.angle + slot)


def _drift(hits: Hits, views: Sequence[View]) -> Tensor:
    """Slow differences of warmth over a garment, -1 to 1."""
    return torch.sin(6 * hits.length + hits.angle + 1.7 * hits.slot.float() + _phases(views, hits.image))
