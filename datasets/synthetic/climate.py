"""Kinds of thermal scenes: how warm the surroundings and the people look on a cold night, a mild night and by day."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Climate:
    """A kind of thermal scene; levels are fractions of full scale.

    Attributes:
        like: real crops of that kind (LLVIP, Jia et al. 2021; RoadScene, Xu et al. 2020).
        below: it reigns where the surroundings have a level below this one.
        skin: level of bare skin.
        insulation: exponent on the warmth of a surface; above 1, clothes look far colder than skin.
        chill: how far a surface that lets no warmth through lies below the surroundings, fraction of the span.
        fold: depth of creases.
        drift: depth of slow differences over a garment.
        clutter: how far the warmth of things in the background lies apart.
        blur: factor on the blur of the camera.
    """

    like: str
    below: float
    skin: float
    insulation: float
    chill: float
    fold: float
    drift: float
    clutter: float
    blur: float


CLIMATES = (
    Climate("LLVIP 01", 0.24, 0.72, 0.42, 0.0, 0.1, 0.09, 0.45, 0.68),
    Climate("LLVIP 19/20", 0.44, 0.84, 1.6, 0.2, 0.26, 0.16, 0.45, 0.66),
    Climate("RoadScene", 2.0, 0.96, 0.55, 0.0, 0.16, 0.08, 0.55, 1.5),
)


def climate_of(warmth: float) -> Climate:
    """What reigns where the surroundings have that level."""
    return next(climate for climate in CLIMATES if warmth < climate.below)
