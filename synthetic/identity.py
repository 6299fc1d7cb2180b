"""Identity of a synthetic person: body, hair, clothes and bag, equal in all images of the person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from usvi_bench.synthetic import clothing
from usvi_bench.synthetic.arithmetic import clip
from usvi_bench.synthetic.clothing import Colour, Material, Pattern
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.wardrobe import Outfit, draw_outfit

SHARED_OUTFITS = 4
"""Number of different outfits among people with shared clothes."""


class Region(IntEnum):
    """Region of a person's surface that has its own material."""

    SKIN = 0
    HAIR = 1
    TOP = 2
    INNER = 3
    BOTTOM = 4
    SHOES = 5
    BAG = 6
    HAT = 7
    SCARF = 8
    SOLE = 9
    TRIM = 10
    """Zips, buttons, buckles."""
    BELT = 11
    LIPS = 12
    EYES = 13
    WHITE = 14
    """White of the eyes."""
    GLASSES = 15
    MASK = 16


_DYED = (Region.TOP, Region.INNER, Region.BOTTOM, Region.SHOES, Region.BAG, Region.HAT, Region.SCARF)


@dataclass(frozen=True, slots=True)
class Body:
    """Body proportions; lengths are fractions of the stature unless stated otherwise.

    Attributes:
        stature: height in metres.
        girth: thickness of trunk and limbs; 1 is average.
        shoulders: half the shoulder width.
        hips: half the hip width.
        bust: fullness of the chest, 0 to 1.
        legs: height of the hip joint.
        head: half the height of the head.
        stride: amplitude of the hip angle in radians.
        swing: amplitude of the shoulder angle in radians.
        elbow: bend of the elbow in radians while the arm hangs.
        carry: angle between arms and trunk in radians.
        toes: outward turn of the feet in radians.
        lean: forward tilt of the trunk in radians.
        gaze: downward tilt of the head in radians.
        style: "bald", "shaven", "short", "curls", "bob", "long", "bun" or "tail".
        hair: length of the hair: 0 shaven, 1 short, up to 2 for hair down the back.
        volume: thickness of the hair; 1 is average.
        fringe: length of the fringe on the forehead, 0 to 1.
        beard: 0 for none, 1 for a full beard.
    """

    stature: float
    girth: float
    shoulders: float
    hips: float
    bust: float
    legs: float
    head: float
    stride: float
    swing: float
    elbow: float
    carry: float
    toes: float
    lean: float
    gaze: float
    style: str
    hair: float
    volume: float
    fringe: float
    beard: float


@dataclass(frozen=True, slots=True)
class Person:
    """Person with one identity.

    Attributes:
        number: identity number, from 1.
        body: proportions and hair.
        outfit: shapes of clothes and bag.
        materials: material of every :class:`Region`, in its order.
    """

    number: int
    body: Body
    outfit: Outfit
    materials: tuple[Material, ...]


def draw_person(spec: SyntheticSpec, layout: str, number: int) -> Person:
    """Draw a person; depends only on seed, layout and number, not on other draws."""
    own = Draws(spec.seed, "body", layout, number)
    wardrobe = Draws(spec.seed, "outfit", layout, number)
    shared = wardrobe.random() < spec.clothing_similarity
    if shared:
        wardrobe = Draws(spec.seed, "shared outfit", layout, wardrobe.integers(SHARED_OUTFITS))
    body = _draw_body(own)
    skin, hair = clothing.skin(own), clothing.hair(own)
    # Shared outfits contain no skirts or dresses, so that they suit every body.
    outfit = draw_outfit(wardrobe, skirts=body.bust > 0.25 and not shared)
    white = wardrobe.random() < (0.8 if outfit.shoes == "sneakers" else 0.15)
    trim, cover = float(wardrobe.choice([0.1, 0.5, 0.8])), float(wardrobe.choice([0.1, 0.75, 0.85]))
    materials = {
        Region.SKIN: skin,
        Region.HAIR: hair,
        Region.TOP: clothing.fabric(wardrobe, 0.4, clothing.transmitted_warmth(outfit.bulk)),
        Region.INNER: clothing.fabric(wardrobe, 0.2, 0.8),
        Region.BOTTOM: clothing.fabric(wardrobe, 0.15, 0.8, darkness=1.8),
        Region.SHOES: clothing.leather(wardrobe, 0.4),
        Region.BAG: clothing.leather(wardrobe, 0.12),
        Region.HAT: clothing.leather(wardrobe, 0.4),
        Region.SCARF: clothing.fabric(wardrobe, 0.4, 0.3),
        Region.SOLE: _plain((0.8, 0.79, 0.76) if white else (0.07, 0.06, 0.06), 0.8 if white else 0.15, 0.2),
        Region.TRIM: _plain((trim, trim, trim), trim, 0.25),
        Region.BELT: _plain((0.09, 0.06, 0.04), 0.2, 0.35),
        Region.LIPS: _plain((skin.colour[0] * 0.72, skin.colour[1] * 0.5, skin.colour[2] * 0.5), skin.near * 0.85, 1.0),
        Region.EYES: _plain((0.05, 0.03, 0.03), 0.95, 0.95),
        Region.WHITE: _plain((0.75, 0.72, 0.7), 0.6, 0.95),
        Region.GLASSES: _plain((0.06, 0.06, 0.07), 0.12, 0.3),
        Region.MASK: _plain((cover * 0.93, cover * 0.98, cover), 0.85, 0.45),
    }
    return Person(number, body, outfit, tuple(materials[region] for region in Region))


def camera_materials(spec: SyntheticSpec, layout: str, person: Person, camera: int) -> tuple[Material, ...]:
    """Return the materials of a person in front of a visible camera, some of them with other colours (``recolour``)."""
    rng = Draws(spec.seed, "colours", layout, person.number, camera)
    if rng.random() >= spec.recolour:
        return person.materials
    regions = zip(Region, person.materials, strict=True)
    return tuple(clothing.recoloured(material, rng) if region in _DYED else material for region, material in regions)


def _plain(colour: Colour, near: float, heat: float) -> Material:
    return Material(colour, colour, Pattern.PLAIN, 0.1, near, 1.0, heat)


def _draw_body(rng: Draws) -> Body:
    # 0 is broad shoulders, 1 broad hips; proportions, hair and beard correlate with it.
    slender = float(rng.uniform(0, 1))
    girth = clip(rng.lognormal(0.0, 0.2), 0.72, 1.55)
    styles = ["bald", "shaven", "short", "curls", "bob", "long", "bun", "tail"]
    broad, narrow = (0.05, 0.1, 0.52, 0.08, 0.07, 0.08, 0.05, 0.05), (0.0, 0.0, 0.1, 0.08, 0.22, 0.32, 0.12, 0.16)
    style = rng.choice(styles, [b + slender * (n - b) for b, n in zip(broad, narrow, strict=True)])
    hair = {"bald": 0.0, "shaven": 0.0, "bob": rng.uniform(1.25, 1.45), "long": rng.uniform(1.5, 2.0)}.get(style, 1.0)
    return Body(
        stature=clip(rng.normal(1.76 - 0.13 * slender, 0.07), 1.48, 1.97),
        girth=girth,
        shoulders=clip(rng.normal(0.119 - 0.016 * slender, 0.005), 0.095, 0.13),
        hips=clip(rng.normal(0.08 + 0.012 * slender, 0.005), 0.068, 0.105),
        bust=clip((slender - 0.45) * 1.8 + rng.normal(0, 0.12), 0, 1),
        legs=clip(rng.normal(0.515, 0.013), 0.48, 0.55),
        head=clip(rng.normal(0.0655, 0.0025), 0.059, 0.073),
        stride=float(rng.uniform(0.3, 0.5)),
        swing=float(rng.uniform(0.1, 0.38)),
        elbow=float(rng.uniform(0.08, 0.42)),
        carry=clip(rng.normal(0.09, 0.04), 0.02, 0.2),
        toes=float(rng.normal(0.12, 0.1)),
        lean=clip(rng.normal(0.05, 0.05), -0.04, 0.18),
        gaze=clip(rng.normal(0.1, 0.12), -0.1, 0.45),
        style=style,
        hair=float(hair),
        volume=float(rng.uniform(0.95, 1.35)),
        fringe=float(rng.uniform(0, 1)),
        beard=float(rng.choice([0.5, 1.0]) if slender < 0.4 and rng.random() < 0.45 else 0.0),
    )
