"""Outfit of a person in front of a camera; some people change part of it between cameras."""

from __future__ import annotations

from dataclasses import replace

from usvi_bench.synthetic.cameras import LLCM, SYSU, Layout
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.identity import Person
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.wardrobe import Outfit

CHANGING = 0.3
"""Fraction of people who may look different in front of one camera."""
_CAMERAS = {"sysu": SYSU, "llcm": LLCM}


def worn(spec: SyntheticSpec, layout: Layout, person: Person, camera: int) -> Outfit:
    """Return the outfit that a person wears in front of a camera.

    Most people wear the same outfit everywhere. A fraction ``CHANGING`` changes the bag, opens or closes the jacket,
    moves the hood or takes off the hat in front of one camera. In RegDB's layout both cameras see the same walk, so
    outfits never change.
    """
    own = person.outfit
    if layout == "regdb":
        return own
    rng = Draws(spec.seed, "worn", layout, person.number)
    cameras = _CAMERAS[layout]
    changes, where = rng.random() < CHANGING, rng.integers(1, len(cameras) + 1)
    if not changes or camera != cameras[where - 1].number:
        return own
    kind = rng.integers(3)
    if kind == 0 and own.top in ("jacket", "coat"):
        return replace(own, opening=0.0 if own.opening else float(rng.uniform(0.3, 0.7)))
    if kind == 1 and own.hood:
        return replace(own, hood=3.0 - own.hood, hat="none")
    if kind == 1 and own.hat != "none":
        return replace(own, hat="none")
    return replace(own, bag=str(rng.choice(["none", "backpack", "shoulder", "hand"])) if own.bag == "none" else "none")
