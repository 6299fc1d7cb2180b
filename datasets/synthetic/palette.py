"""What the materials of a person are to one sensor: levels of base and pattern."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datasets.synthetic.cameras import Band
from datasets.synthetic.clothing import Material, luma
from datasets.synthetic.identity import Person
from datasets.synthetic.view import View

THERMAL_SPAN = (0.82, 0.65)
"""Level of bare skin above the surroundings, fraction of full scale, and how much of it warm surroundings take."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Materials of ``B`` people as one sensor sees them; ``R`` regions."""

    base: Tensor
    second: Tensor
    pattern: Tensor
    period: Tensor


def _table(people: Sequence[Person], read: Callable[[Material], float | Sequence[float]]) -> Tensor:
    return torch.tensor([[read(material) for material in person.materials] for person in people], dtype=torch.float32)


def palette_of(people: Sequence[Person], band: Band, views: Sequence[View], gap: float) -> Palette:
    """Levels of base and pattern; ``gap`` leads from grey visible (0) to the infrared of the material (1)."""
    base, second = _table(people, lambda m: m.colour), _table(people, lambda m: m.second)
    if band != "visible":
        grey, grey_second = _table(people, lambda m: luma(m.colour)), _table(people, lambda m: luma(m.second))
        if band == "near":
            own = _table(people, lambda m: m.near)
            own_second = own + 0.9 * _table(people, lambda m: m.kept) * (grey_second - grey)
        else:
            warmth = torch.tensor([view.warmth for view in views])[:, None]
            own = warmth + (THERMAL_SPAN[0] - THERMAL_SPAN[1] * warmth) * _table(people, lambda m: m.heat)
            own_second = own
        base = torch.lerp(grey, own, gap).unsqueeze(-1).expand(-1, -1, 3)
        second = torch.lerp(grey_second, own_second, gap).unsqueeze(-1).expand(-1, -1, 3)
    return Palette(base, second, _table(people, lambda m: float(m.pattern)), _table(people, lambda m: m.period))


@dataclass(frozen=True, slots=True)
class Climate:
    """A kind of thermal scene.

    Attributes:
        like: real crops of that kind (LLVIP, Jia et al. 2021; RoadScene, Xu et al. 2020).
        below: it reigns where the surroundings have a level below this one.
    """

    like: str
    below: float


CLIMATES = (Climate("LLVIP 01", 0.24), Climate("LLVIP 19/20", 0.44), Climate("RoadScene", 2.0))
"""Cold night, mild night, day: what reigns follows from the level of the surroundings."""


def climate_of(warmth: float) -> Climate:
    """The kind of scene whose surroundings have that level."""
    return next(climate for climate in CLIMATES if warmth < climate.below)
