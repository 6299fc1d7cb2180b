"""Materials: what a surface looks like in visible light, in near infrared and in thermal infrared.

Near infrared sees cloth brighter and without hue: its level and the contrast of its pattern follow the visible ones by
a factor that each material draws for itself ("Exploring Invariant Representation for Visible-Infrared Person
Re-Identification", Tan et al.: the same surface in two wavelengths is linearly related, with a factor that varies from
surface to surface). Thermal shows how warm the surface is, drawn apart from both, and no pattern at all.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

Colour = tuple[float, float, float]


class Pattern(IntEnum):
    """Where the second colour of a material shows."""

    PLAIN = 0
    RINGS = 1
    STRIPES = 2
    PLAID = 3
    DOTS = 4
    BLOCK = 5
    PRINT = 6


@dataclass(frozen=True, slots=True)
class Material:
    """The surface of one region of a person; levels are fractions of full scale.

    Attributes:
        colour: visible base colour.
        second: visible colour of the pattern.
        pattern: where ``second`` shows.
        period: repeat of the pattern in metres.
        near: near-infrared level of the base colour; above 1 it is brighter than a sensor can tell.
        kept: fraction of the pattern's visible contrast that survives in near infrared; the level follows by it too.
        heat: temperature of the surface; 0 is the surroundings, 1 bare skin.
        crease: how deeply it creases; 1 is average, less for stiff cloth.
    """

    colour: Colour
    second: Colour
    pattern: Pattern
    period: float
    near: float
    kept: float
    heat: float
    crease: float = 1.0


def luma(colour: Colour) -> float:
    """Grey level of a visible colour."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def through(thickness: float) -> float:
    """Warmth that a garment lets through, 1 for none at all; ``thickness`` is a fraction of the stature."""
    return 0.22 + 0.5 * float(np.exp(-45 * thickness))


def fabric(rng: np.random.Generator, patterned: float, heat: float, darkness: float = 1.0) -> Material:
    """A dyed textile; ``patterned`` is the probability of a pattern, ``heat`` its mean warmth."""
    colour = _dye(rng, darkness)
    pattern = Pattern(int(rng.integers(1, len(Pattern)))) if rng.random() < patterned else Pattern.PLAIN
    kept = 0.6 + 0.4 * float(rng.beta(1.5, 1.0))
    # by more than the pattern does, for torsos that differ from person to person as much as measured ones
    near = 0.74 + 1.7 * kept * (luma(colour) - 0.3)
    return Material(
        colour=colour,
        second=_contrasting(rng, colour),
        pattern=pattern,
        period=float(rng.choice([0.075, 0.11, 0.16, 0.23])),
        near=float(np.clip(near + rng.normal(0, 0.06), 0.25, 1.1)),
        kept=kept,
        heat=float(np.clip(rng.normal(heat, 0.12), 0.05, 1.0)),
        crease=float(np.clip(rng.lognormal(-0.3, 0.8), 0.12, 2.1)),
    )


def leather(rng: np.random.Generator, heat: float) -> Material:
    """Shoes, bags, caps: plain, often dark, cool; in near infrared most of it is as bright as cloth."""
    level = float(rng.choice([rng.uniform(0.05, 0.2), rng.uniform(0.35, 0.85)]))
    colour = colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0, 0.6)), level)
    near = float(np.clip(0.55 + 0.3 * luma(colour) + rng.normal(0, 0.12), 0.15, 0.95))
    return Material(colour, colour, Pattern.PLAIN, 0.1, near, 1.0, float(np.clip(rng.normal(heat, 0.08), 0, 1)))


def skin(rng: np.random.Generator) -> Material:
    """Skin: near infrared reflects it strongly whatever its tone."""
    tone = float(rng.uniform(0.3, 0.8))
    colour = (tone, tone * 0.74, tone * 0.6)
    return Material(colour, colour, Pattern.PLAIN, 0.1, float(rng.uniform(0.6, 0.76)), 1.0, 1.0)


def hair(rng: np.random.Generator) -> Material:
    """Hair: dark in near infrared too, and about as warm as clothing."""
    colours = ((0.05, 0.04, 0.04), (0.09, 0.06, 0.04), (0.2, 0.12, 0.07), (0.45, 0.33, 0.2), (0.5, 0.5, 0.5))
    colour = colours[int(rng.choice(5, p=[0.45, 0.25, 0.15, 0.1, 0.05]))]
    return Material(colour, colour, Pattern.PLAIN, 0.1, float(rng.uniform(0.1, 0.3)), 1.0, 0.84)


def dyed(material: Material, rng: np.random.Generator) -> Material:
    """The same cloth in other visible colours."""
    colour = _dye(rng, 1.0)
    second = _contrasting(rng, colour) if material.pattern else colour
    return replace(material, colour=colour, second=second)


def _dye(rng: np.random.Generator, darkness: float) -> Colour:
    value = float(np.clip(rng.beta(1.2, 1.7 * darkness), 0.06, 0.95))
    saturation = float(rng.uniform(0.35, 0.9)) if rng.random() < 0.6 else float(rng.uniform(0, 0.12))
    return colorsys.hsv_to_rgb(float(rng.random()), saturation, value)


def _contrasting(rng: np.random.Generator, colour: Colour) -> Colour:
    level = rng.uniform(0.4, 0.85) if luma(colour) < 0.35 else rng.uniform(0.05, 0.6) * luma(colour)
    return colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0, 0.6)), float(level))
