"""Outfit of a person: matching clothes, accessories and a bag."""

from __future__ import annotations

from dataclasses import dataclass

from usvi_bench.synthetic.draws import Draws


@dataclass(frozen=True, slots=True)
class Outfit:
    """Outfit: shapes of clothes, accessories and bag; lengths are fractions of the covered part.

    Attributes:
        top: "t-shirt", "shirt", "hoodie", "jacket", "coat" or "dress".
        bottom: "trousers", "wide trousers", "shorts", "skirt" or "leggings".
        sleeves: covered part of the arm, 0 to 2 (1: to the elbow).
        trousers: covered part of the leg, 0 to 2 (1: to the knee).
        hem: length of a coat, dress or skirt down the leg, 0 to 1; 0 without one.
        hem_is_top: 1 if that hem belongs to the upper garment.
        flare: widening of the hem.
        bulk: thickness of the upper garment, fraction of the stature.
        loose: widening of the trouser legs.
        tucked: 1 if the upper garment ends at the belt.
        opening: half-angle in radians of an open front; 0 if closed.
        hood: 0 for none, 1 for a hood on the back, 2 for a hood on the head.
        pockets: 1 if the upper garment shows pockets.
        hat: "none", "beanie", "cap" or "brim".
        scarf: 1 for a scarf.
        glasses: 1 for glasses.
        mask: 1 for a mask over mouth and nose.
        bag: "none", "backpack", "shoulder" or "hand".
        bag_size: 1 is average.
        side: +1 or -1, the side on which a bag hangs.
        shoes: "shoes", "sneakers" or "boots".
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
    tucked: float
    opening: float
    hood: float
    pockets: float
    hat: str
    scarf: float
    glasses: float
    mask: float
    bag: str
    bag_size: float
    side: float
    shoes: str


def draw_outfit(rng: Draws, skirts: bool) -> Outfit:
    """Draw an outfit of matching clothes; ``skirts`` allows dresses and skirts."""
    tops = [0.23, 0.19, 0.17, 0.2, 0.13, 0.16 * skirts]
    top = rng.choice(["t-shirt", "shirt", "hoodie", "jacket", "coat", "dress"], tops)
    bottom = rng.choice(["trousers", "wide trousers", "shorts", "skirt"], [0.54, 0.18, 0.16, 0.28 * skirts])
    bare = bottom in ("shorts", "skirt")
    bottom = {"dress": "leggings", "coat": "trousers" if bare else bottom}.get(top, bottom)
    skirt = bottom == "skirt"
    hem = {"coat": rng.uniform(0.35, 0.8), "dress": rng.uniform(0.4, 0.85)}.get(
        top, rng.uniform(0.35, 0.8) if skirt else 0.0
    )
    reach = {"t-shirt": rng.uniform(0.45, 0.85), "dress": rng.choice([0.25, 0.8, 1.9])}.get(
        top, rng.choice([1.9, 1.9, 1.2]) if top == "shirt" else 1.92
    )
    cover = {"shorts": rng.uniform(0.65, 1.0), "skirt": 0.0, "leggings": rng.choice([0.0, 1.9])}.get(bottom, 1.96)
    bulk = {"hoodie": 0.008, "jacket": rng.uniform(0.007, 0.016), "coat": rng.uniform(0.009, 0.016)}.get(top, 0.003)
    hat = str(rng.choice(["none", "beanie", "cap", "brim"], [0.68, 0.12, 0.15, 0.05]))
    hooded = top == "hoodie" or (top in ("jacket", "coat") and rng.random() < 0.35)
    return Outfit(
        top=top,
        bottom=bottom,
        sleeves=float(reach),
        trousers=float(cover),
        hem=float(hem),
        hem_is_top=float(top in ("coat", "dress")),
        flare=float(rng.uniform(0.0, 0.2) if top == "coat" else rng.uniform(0.05, 0.6)),
        bulk=float(bulk),
        loose=float(rng.uniform(0.55, 1.0) if bottom == "wide trousers" else rng.uniform(0.0, 0.4)),
        tucked=float(skirt or (top in ("t-shirt", "shirt") and rng.random() < 0.3)),
        opening=float(rng.uniform(0.3, 0.7) if top in ("jacket", "coat") and rng.random() < 0.5 else 0.0),
        hood=float(hooded) * (2.0 if hat == "none" and rng.random() < 0.15 else 1.0),
        pockets=float(rng.random() < 0.6),
        hat=hat,
        scarf=float(rng.random() < (0.3 if top in ("jacket", "coat") else 0.06)),
        glasses=float(rng.random() < 0.25),
        mask=float(rng.random() < 0.1),
        bag=str(rng.choice(["none", "backpack", "shoulder", "hand"], [0.36, 0.28, 0.22, 0.14])),
        bag_size=float(rng.uniform(0.75, 1.35)),
        side=float(rng.choice([-1, 1])),
        shoes=str(rng.choice(["shoes", "sneakers", "boots"], [0.36, 0.46, 0.18])),
    )
