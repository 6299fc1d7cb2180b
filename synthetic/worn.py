"""Outfit that a person wears in front of a camera; some people change something on the way."""

from __future__ import annotations

from dataclasses import replace

from usvi_bench.core.seeding import numpy_generator
from usvi_bench.synthetic.cameras import Layout
from usvi_bench.synthetic.identity import Person
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.wardrobe import Outfit

CHANGING = 0.3
"""Fraction of people who look different to one of SYSU-MM01's cameras."""
_SYSU_CAMERAS = 6


def worn(spec: SyntheticSpec, layout: Layout, person: Person, camera: int) -> Outfit:
    """Return the outfit that a person wears in front of a camera.

    Most people wear the same everywhere; ``CHANGING`` of them have left or swapped the bag, opened or closed the
    jacket, or put the hood or the hat on or off in front of one camera. Nobody has in RegDB's layout, whose two cameras
    see the same walk.
    """
    own = person.outfit
    if layout == "regdb":
        return own
    rng = numpy_generator(spec.seed, "worn", layout, person.number)
    changes, where = rng.random() < CHANGING, int(rng.integers(1, _SYSU_CAMERAS + 1))
    if not changes or camera != where:
        return own
    kind = int(rng.integers(3))
    if kind == 0 and own.top in ("jacket", "coat"):
        return replace(own, opening=0.0 if own.opening else float(rng.uniform(0.3, 0.7)))
    if kind == 1 and own.hood:
        return replace(own, hood=3.0 - own.hood, hat="none")
    if kind == 1 and own.hat != "none":
        return replace(own, hat="none")
    return replace(own, bag=str(rng.choice(["none", "backpack", "shoulder", "hand"])) if own.bag == "none" else "none")
