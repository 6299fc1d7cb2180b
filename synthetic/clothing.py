"""Materials: levels of a surface in visible light, near infrared and thermal infrared.

In near infrared, cloth is brighter and has no hue. Its level and the contrast of its pattern are linear in the visible
ones, with a factor drawn for each material ("Exploring Invariant Representation for Visible-Infrared Person
Re-Identification", Tan et al.: levels of one surface in two wavelengths are linearly related, with a factor that varies
between surfaces). Warmth is drawn independently of the visible and near-infrared levels; ``palette`` describes what a
thermal camera shows.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from enum import IntEnum

from usvi_bench.synthetic.arithmetic import clip, exponential, power
from usvi_bench.synthetic.draws import Draws

Colour = tuple[float, float, float]


class Pattern(IntEnum):
    """Pattern in which the second colour of a material appears."""

    PLAIN = 0
    RINGS = 1
    STRIPES = 2
    PLAID = 3
    DOTS = 4
    BLOCK = 5
    PRINT = 6


@dataclass(frozen=True, slots=True)
class Material:
    """Material of one region of a person; levels are fractions of full scale.

    Attributes:
        colour: visible base colour.
        second: visible colour of the pattern.
        pattern: pattern in which ``second`` appears.
        period: period of the pattern in metres.
        near: near-infrared level of the base colour; values above 1 saturate the sensor.
        kept: fraction of the pattern's visible contrast kept in near infrared; also scales how far ``near`` follows the
            visible level.
        heat: warmth of the surface; 0 is the surroundings, 1 bare skin.
        crease: depth of creases; 1 is average, stiff cloth has less.
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
    """Return the grey level of a visible colour.

    >>> luma((0.0, 1.0, 0.0))
    0.587
    """
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def transmitted_warmth(thickness: float) -> float:
    """Return the warmth that a garment transmits; 1 would be bare skin.

    Args:
        thickness: of the garment, fraction of the stature.
    """
    return 0.22 + 0.5 * exponential(-45 * thickness)


def fabric(rng: Draws, patterned: float, heat: float, darkness: float = 1.0) -> Material:
    """Draw a dyed textile.

    Args:
        rng: source of the draw.
        patterned: probability of a pattern.
        heat: mean warmth.
        darkness: larger values give darker dyes; 1 is average.
    """
    colour = _dye(rng, darkness)
    pattern = Pattern(rng.integers(1, len(Pattern))) if rng.random() < patterned else Pattern.PLAIN
    kept = 0.6 + 0.4 * power(rng.random(), 2 / 3)
    # 1.7: the level follows the visible one more strongly than the pattern does, to reach the measured spread of torsos
    near = 0.74 + 1.7 * kept * (luma(colour) - 0.3)
    return Material(
        colour=colour,
        second=_contrasting(rng, colour),
        pattern=pattern,
        period=float(rng.choice([0.075, 0.11, 0.16, 0.23])),
        near=clip(near + rng.normal(0, 0.06), 0.25, 1.1),
        kept=kept,
        heat=clip(rng.normal(heat, 0.12), 0.05, 1.0),
        crease=clip(rng.lognormal(-0.3, 0.8), 0.12, 2.1),
    )


def leather(rng: Draws, heat: float) -> Material:
    """Draw the material of shoes, bags or caps: plain, cool, often dark; in near infrared often as bright as cloth."""
    level = float(rng.choice([rng.uniform(0.05, 0.2), rng.uniform(0.35, 0.85)]))
    colour = colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0, 0.6)), level)
    near = clip(0.55 + 0.3 * luma(colour) + rng.normal(0, 0.12), 0.15, 0.95)
    return Material(colour, colour, Pattern.PLAIN, 0.1, near, 1.0, clip(rng.normal(heat, 0.08), 0, 1))


def skin(rng: Draws) -> Material:
    """Draw skin; its near-infrared level is high and independent of its tone."""
    tone = float(rng.uniform(0.3, 0.8))
    colour = (tone, tone * 0.74, tone * 0.6)
    return Material(colour, colour, Pattern.PLAIN, 0.1, float(rng.uniform(0.6, 0.76)), 1.0, 1.0)


def hair(rng: Draws) -> Material:
    """Draw hair: dark in near infrared too, about as warm as clothing."""
    colours = ((0.05, 0.04, 0.04), (0.09, 0.06, 0.04), (0.2, 0.12, 0.07), (0.45, 0.33, 0.2), (0.5, 0.5, 0.5))
    colour = colours[int(rng.choice(range(5), [0.45, 0.25, 0.15, 0.1, 0.05]))]
    return Material(colour, colour, Pattern.PLAIN, 0.1, float(rng.uniform(0.1, 0.3)), 1.0, 0.84)


def recoloured(material: Material, rng: Draws) -> Material:
    """Return the same cloth with other visible colours."""
    colour = _dye(rng, 1.0)
    second = _contrasting(rng, colour) if material.pattern else colour
    return replace(material, colour=colour, second=second)


def _dye(rng: Draws, darkness: float) -> Colour:
    value = clip(rng.beta(1.2, 1.7 * darkness), 0.06, 0.95)
    saturation = float(rng.uniform(0.35, 0.9)) if rng.random() < 0.6 else float(rng.uniform(0, 0.12))
    return colorsys.hsv_to_rgb(float(rng.random()), saturation, value)


def _contrasting(rng: Draws, colour: Colour) -> Colour:
    level = rng.uniform(0.4, 0.85) if luma(colour) < 0.35 else rng.uniform(0.05, 0.6) * luma(colour)
    return colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0, 0.6)), float(level))
