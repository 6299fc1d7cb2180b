"""Who somebody is: body, hair, clothes and what they carry, stable over all images of the person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from datasets.synthetic import clothing
from datasets.synthetic.clothing import Material
from datasets.synthetic.spec import SyntheticSpec
from engine.seeding import numpy_generator

SHARED_OUTFITS = 4
"""Number of outfits that people with shared clothes choose from."""


class Region(IntEnum):
    """Parts of the surface with a material of their own."""

    SKIN = 0
    HAIR = 1
    TOP = 2
    INNER = 3
    BOTTOM = 4
    SHOES = 5
    BAG = 6
    HAT = 7


@dataclass(frozen=True, slots=True)
class Body:
    """Proportions; lengths are fractions of the stature unless said otherwise.

    Attributes:
        stature: metres.
        girth: thickness of trunk and limbs; 1 is average.
        shoulders: half the shoulder width.
        hips: half the hip width.
        legs: height of the hip joint.
        head: radius of the head.
        stride: amplitude of the hip angle in radians.
        swing: amplitude of the shoulder angle in radians.
        lean: forward tilt of the trunk in radians.
        hair: 0 shaven, 1 short, up to 2 for hair down the back.
        volume: thickness of the hair; 1 is average.
    """

    stature: float
    girth: float
    shoulders: float
    hips: float
    legs: float
    head: float
    stride: float
    swing: float
    lean: float
    hair: float
    volume: float


@dataclass(frozen=True, slots=True)
class Outfit:
    """Clothes and things carried, as shapes; lengths are fractions of what they cover.

    Attributes:
        top: name of the upper garment.
        bottom: name of the lower garment.
        sleeves: covered part of the arm, 0 to 2 (1: to the elbow).
        trousers: covered part of the leg, 0 to 2 (1: to the knee).
        hem: how far a coat, dress or skirt hangs down the leg, 0 to 1; 0 if there is none.
        hem_is_top: 1 if that hem belongs to the upper garment.
        flare: how much the hem widens.
        bulk: thickness of the upper garment, fraction of the stature.
        loose: widening of the trouser legs.
        opening: half-angle in radians of an open front; 0 if closed.
        hood: 1 for a hood on the back.
        hat: "none", "beanie", "cap" or "brim".
        bag: "none", "backpack", "shoulder" or "hand".
        bag_size: 1 is average.
        side: +1 or -1, the side on which a bag hangs.
        boots: 1 for boots.
    """

    top: str
    bottom: str
    sleeves: float
    trousers: float
    hem: float
    hem_is_top: float
    flare: float
    bulk: float
    loose: float
    opening: float
    hood: float
    hat: str
    bag: str
    bag_size: float
    side: float
    boots: float


@dataclass(frozen=True, slots=True)
class Person:
    """One identity.

    Attributes:
        number: identity number, from 1.
        materials: one for every :class:`Region`, in its order.
    """

    number: int
    body: Body
    outfit: Outfit
    materials: tuple[Material, ...]


def draw_person(spec: SyntheticSpec, layout: str, number: int) -> Person:
    """The person of that number; the same whatever else is drawn."""
    own = numpy_generator(spec.seed, "body", layout, number)
    wardrobe = numpy_generator(spec.seed, "outfit", layout, number)
    if wardrobe.random() < spec.clothing_similarity:
        wardrobe = numpy_generator(spec.seed, "shared outfit", layout, int(wardrobe.integers(SHARED_OUTFITS)))
    body = _draw_body(own)
    skin, hair = clothing.skin(own), clothing.hair(own)
    outfit = _draw_outfit(wardrobe)
    materials = {
        Region.SKIN: skin,
        Region.HAIR: hair,
        Region.TOP: clothing.fabric(wardrobe, 0.7, 0.52 - 3.0 * outfit.bulk),
        Region.INNER: clothing.fabric(wardrobe, 0.2, 0.8),
        Region.BOTTOM: clothing.fabric(wardrobe, 0.3, 0.8, darkness=1.8),
        Region.SHOES: clothing.leather(wardrobe, 0.4),
        Region.BAG: clothing.leather(wardrobe, 0.15),
        Region.HAT: clothing.leather(wardrobe, 0.4),
    }
    return Person(number, body, outfit, tuple(materials[region] for region in Region))


def _draw_body(rng: np.random.Generator) -> Body:
    girth = float(np.clip(rng.lognormal(0.0, 0.22), 0.7, 1.6))
    hair = float(rng.choice([0.0, 1.0, rng.uniform(1.3, 1.6), rng.uniform(1.7, 2.0)], p=[0.1, 0.45, 0.2, 0.25]))
    return Body(
        stature=float(np.clip(rng.normal(1.69, 0.1), 1.45, 1.95)),
        girth=girth,
        shoulders=float(np.clip(rng.normal(0.112, 0.011), 0.09, 0.14)),
        hips=float(np.clip(rng.normal(0.085, 0.009), 0.068, 0.11)),
        legs=float(np.clip(rng.normal(0.5, 0.02), 0.455, 0.545)),
        head=float(np.clip(rng.normal(0.062, 0.004), 0.053, 0.072)),
        stride=float(rng.uniform(0.3, 0.55)),
        swing=float(rng.uniform(0.15, 0.6)),
        lean=float(np.clip(rng.normal(0.05, 0.06), -0.05, 0.22)),
        hair=hair,
        volume=float(rng.uniform(0.95, 1.35)),
    )


def _draw_outfit(rng: np.random.Generator) -> Outfit:
    top = str(
        rng.choice(["t-shirt", "shirt", "hoodie", "jacket", "coat", "dress"], p=[0.24, 0.2, 0.16, 0.16, 0.14, 0.1])
    )
    bottom = str(rng.choice(["trousers", "wide trousers", "shorts", "skirt"], p=[0.46, 0.16, 0.2, 0.18]))
    bottom = {"dress": "leggings", "coat": "trousers" if bottom in ("shorts", "skirt") else bottom}.get(top, bottom)
    skirt = bottom == "skirt"
    hem = {"coat": rng.uniform(0.45, 0.95), "dress": rng.uniform(0.4, 0.9)}.get(
        top, rng.uniform(0.35, 0.85) if skirt else 0.0
    )
    reach = {"t-shirt": rng.uniform(0.35, 0.85), "dress": rng.choice([0.1, 0.8, 1.9])}.get(top, 1.9)
    cover = {"shorts": rng.uniform(0.6, 1.05), "skirt": 0.0, "leggings": rng.choice([0.0, 1.9])}.get(bottom, 1.92)
    return Outfit(
        top=top,
        bottom=bottom,
        sleeves=float(reach),
        trousers=float(cover),
        hem=float(hem),
        hem_is_top=float(top in ("coat", "dress")),
        flare=float(rng.uniform(0.0, 0.35) if top == "coat" else rng.uniform(0.2, 0.9)),
        bulk=float(
            {"hoodie": 0.009, "jacket": rng.uniform(0.008, 0.03), "coat": rng.uniform(0.01, 0.022)}.get(top, 0.002)
        ),
        loose=float(rng.uniform(0.5, 0.9) if bottom == "wide trousers" else rng.uniform(0.0, 0.25)),
        opening=float(rng.uniform(0.35, 0.8) if top in ("jacket", "coat") and rng.random() < 0.55 else 0.0),
        hood=float(top == "hoodie"),
        hat=str(rng.choice(["none", "beanie", "cap", "brim"], p=[0.52, 0.16, 0.18, 0.14])),
        bag=str(rng.choice(["none", "backpack", "shoulder", "hand"], p=[0.25, 0.3, 0.27, 0.18])),
        bag_size=float(rng.uniform(0.7, 1.4)),
        side=float(rng.choice([-1, 1])),
        boots=float(rng.random() < 0.25),
    )
