"""Climates of thermal scenes: levels of surroundings and people on a cold night, a mild night and by day."""

from __future__ import annotations

from dataclasses import dataclass

from usvi_bench.synthetic.arithmetic import clip
from usvi_bench.synthetic.draws import Draws


@dataclass(frozen=True, slots=True)
class Climate:
    """Climate of a thermal scene; levels are fractions of full scale.

    Attributes:
        like: name of the real crops that it imitates (LLVIP, Jia et al. 2021; RoadScene, Xu et al. 2020).
        share: fraction of walks with this climate.
        around: mean and standard deviation of the level of the surroundings.
        skin: level of bare skin.
        insulation: exponent on the warmth of a surface; above 1, clothes look far colder than skin.
        chill: how far a fully insulating surface lies below the surroundings, as a fraction of the span between
            surroundings and skin.
        fold: depth of creases.
        drift: depth of slow variations over a garment.
        clutter: spread of warmth between background objects.
        blur: factor on the blur of the camera.
    """

    like: str
    share: float
    around: tuple[float, float]
    skin: float
    insulation: float
    chill: float
    fold: float
    drift: float
    clutter: float
    blur: float


CLIMATES = (
    Climate("LLVIP 01", 0.4, (0.125, 0.07), 0.75, 0.38, 0.0, 0.12, 0.05, 0.45, 0.66),
    Climate("LLVIP 19/20", 0.25, (0.36, 0.1), 0.98, 1.9, 0.33, 0.38, 0.16, 0.55, 0.62),
    Climate("RoadScene", 0.35, (0.53, 0.1), 0.96, 0.52, 0.0, 0.49, 0.06, 0.55, 1.28),
)


def draw_climate(rng: Draws) -> tuple[int, float]:
    """Draw a climate (its index in ``CLIMATES``) and the level of the surroundings."""
    kind = rng.choice(range(len(CLIMATES)), [climate.share for climate in CLIMATES])
    return kind, clip(rng.normal(*CLIMATES[kind].around), 0.02, 0.7)
