"""Painted details of clothes: openings, buttons, zips, pockets, belts, cuffs, soles, straps."""

from __future__ import annotations

import torch

from usvi_bench.synthetic.arithmetic import remainder, root
from usvi_bench.synthetic.identity import Region
from usvi_bench.synthetic.solids import Part, pick
from usvi_bench.synthetic.surface import Surface


def paint_clothes(surface: Surface) -> None:
    """Paint the details of every garment; later ones cover earlier ones."""
    for parts, painters in (
        ((Part.TRUNK, Part.HEM, Part.COLLAR), (_front, _pockets, _edges, _straps)),
        ((Part.ARM,), (_cuffs,)),
        ((Part.LEG, Part.BARE_LEG), (_cover, _trousers)),
        ((Part.FOOT,), (_shoes,)),
        ((Part.BAG, Part.STRAP), (_bag,)),
    ):
        points = torch.nonzero(surface.on(*parts)).flatten()
        painted = surface.select(points)
        for paint in painters:
            paint(painted)
        surface.update(points, painted)


def _cover(s: Surface) -> None:
    """Paint thighs that pierce a garment over the hips with that garment's material."""
    above = s.on(Part.LEG, Part.BARE_LEG) & (s.hits.body[1] > pick(s.solids.marks[:, 1], s.hits.image))
    above &= s.per_person(lambda p: p.outfit.hem > 0 or not p.outfit.tucked) > 0
    skirt = s.per_person(lambda p: p.outfit.hem > 0 and not p.outfit.hem_is_top) > 0
    s.paint(above & skirt, Region.BOTTOM)
    s.paint(above & ~skirt, Region.TOP)


def _front(s: Surface) -> None:
    """Paint the front: the inner garment under an open jacket, the zip of a closed one, the buttons of a shirt."""
    front = s.on(Part.TRUNK, Part.HEM) & (s.facing[2] > 0.15) & (s.region == Region.TOP)
    opening, jacket = (
        s.per_person(lambda p: p.outfit.opening),
        s.per_person(lambda p: p.outfit.top in ("jacket", "coat")),
    )
    shirt = s.per_person(lambda p: p.outfit.top == "shirt") > 0
    gap = opening * 0.09 * (0.45 + 2.2 * (s.down - 0.02).clamp_min(0))
    inner = front & (s.across.abs() < gap) & (opening > 0)
    under = s.per_person(lambda p: p.outfit.hem > 0 and p.outfit.hem_is_top) > 0
    s.paint(inner, Region.INNER)
    s.paint(inner & (s.down > 0.33) & under, Region.BOTTOM)
    s.darken(front & ((s.across.abs() - gap).abs() < 0.005) & (opening > 0), 0.6)
    # Lapels and the V of a collar.
    lapel = front & (s.down < 0.13) & ((s.across.abs() - gap - 0.5 * (0.13 - s.down) * 0.35).abs() < 0.004)
    s.darken(lapel & ((opening > 0) | shirt), 0.72)
    middle = front & (opening == 0) & (s.across.abs() < 0.0035)
    s.darken(front & shirt & ~under & ((s.across - 0.008).abs() < 0.0035), 0.82)
    zipped = (jacket > 0) & (s.per_person(lambda p: p.outfit.pockets) > 0)
    s.paint(middle & zipped, Region.TRIM)
    s.darken(middle & ~zipped & (jacket > 0), 0.6)
    buttons = front & (s.across.abs() < 0.004) & ((remainder(s.down * 100, 5.0) - 2.5).abs() < 0.4) & (opening == 0)
    s.paint(buttons & (shirt | ((jacket > 0) & ~zipped)), Region.TRIM)


def _pockets(s: Surface) -> None:
    worn = (s.per_person(lambda p: p.outfit.pockets) > 0) & (s.region == Region.TOP) & (s.facing[2] > 0)
    worn &= s.on(Part.TRUNK, Part.HEM)
    x, y = s.across.abs(), s.down
    shirt = s.per_person(lambda p: p.outfit.top in ("shirt", "t-shirt"))
    hoodie = s.per_person(lambda p: p.outfit.top == "hoodie")
    coat = s.per_person(lambda p: p.outfit.top in ("jacket", "coat"))
    box = ((s.across - 0.042).abs() < 0.024) & ((y - 0.1).abs() < 0.026)
    rim = box & (((s.across - 0.042).abs() > 0.019) | ((y - 0.1).abs() > 0.021))
    s.darken(worn & rim & (shirt > 0), 0.78)
    pouch = (x < 0.075) & (y > 0.24) & (y < 0.315)
    s.darken(worn & pouch & ((x > 0.05 + 0.35 * (y - 0.24)) & (x < 0.057 + 0.35 * (y - 0.24))) & (hoodie > 0), 0.6)
    s.darken(worn & pouch & (y < 0.246) & (x < 0.055) & (hoodie > 0), 0.7)
    slit = ((x - 0.058 - 0.3 * (y - 0.27)).abs() < 0.004) & ((y - 0.27).abs() < 0.035)
    s.darken(worn & slit & (coat > 0), 0.5)
    cords = ((x - 0.014).abs() < 0.003) & (y > 0.02) & (y < 0.1)
    s.darken(worn & cords & (hoodie > 0), 1.5)


def _edges(s: Surface) -> None:
    """Paint hems and the belt."""
    along = s.hits.along
    knit = s.per_person(lambda p: p.outfit.top in ("hoodie", "jacket")) > 0
    hem = s.on(Part.HEM) & (along > 0.86) & (s.region == Region.TOP)
    s.darken(hem & knit & (along < 0.89), 0.7)
    s.darken(s.on(Part.HEM) & (along > 0.97), 0.75)
    tucked = s.per_person(lambda p: p.outfit.tucked) > 0
    belt = tucked & s.on(Part.TRUNK) & (s.region == Region.BOTTOM)
    belt &= along < s.per_solid(s.solids.cut) + 0.26
    s.paint(belt, Region.BELT)
    s.paint(belt & (s.across.abs() < 0.012) & (s.facing[2] > 0), Region.TRIM)
    coat = s.per_person(lambda p: p.outfit.top == "coat" and p.outfit.opening == 0 and p.outfit.tucked) > 0
    s.paint(coat & ((s.down - 0.2).abs() < 0.011) & s.on(Part.TRUNK), Region.BELT)


def _cuffs(s: Surface) -> None:
    cuff, along = pick(s.solids.open_end, s.hits.slot), s.hits.along
    knit = s.per_person(lambda p: p.outfit.top in ("hoodie", "jacket")) > 0
    s.darken(cuff & (along > 0.96), 0.78)
    s.darken(cuff & knit & (along > 0.86) & (along < 0.9), 0.72)


def _trousers(s: Surface) -> None:
    """Paint the fly, seams, back pockets and ankle hems of trousers."""
    legs = s.on(Part.LEG) & (s.region == Region.BOTTOM)
    behind = legs & (s.facing[2] < -0.3)
    box = ((s.across.abs() - 0.045).abs() < 0.024) & ((s.down - 0.34).abs() < 0.024)
    inside = ((s.across.abs() - 0.045).abs() < 0.02) & ((s.down - 0.34).abs() < 0.02)
    s.darken(behind & box & ~inside, 0.72)
    s.darken(legs & (s.facing[2] > 0.3) & (s.across.abs() < 0.003) & (s.down < 0.37), 0.7)
    s.darken(legs & (s.facing[2].abs() < 0.07), 0.8)
    s.darken(legs & pick(s.solids.open_end, s.hits.slot) & (s.hits.along > 0.965), 0.72)


def _shoes(s: Surface) -> None:
    """Paint soles, and laces of sneakers."""
    shoe = s.region == Region.SHOES
    stature = pick(s.solids.marks[:, 3], s.hits.image)
    boots = s.per_person(lambda p: p.outfit.shoes == "boots") > 0
    sneakers = s.per_person(lambda p: p.outfit.shoes == "sneakers") > 0
    flat = s.per_solid(s.solids.axis[..., 1]) > 0.7
    s.paint(shoe & flat & (s.facing[1] < -0.15), Region.SOLE)
    laces = shoe & ~flat & sneakers & (s.facing[1] > 0.2) & (remainder(s.hits.length / stature * 100, 0.9) < 0.4)
    s.paint(laces, Region.SOLE)
    s.darken(shoe & boots & ~flat & (s.hits.along > 0.93), 0.6)


def _straps(s: Surface) -> None:
    """Paint the straps of a backpack or a shoulder bag on the trunk."""
    trunk, front = s.on(Part.TRUNK, Part.HEM, Part.COLLAR) & (s.region != Region.SKIN), s.facing[2] > -0.25
    pack = s.per_person(lambda p: p.outfit.bag == "backpack") > 0
    below = (s.down - 0.08).clamp_min(0)
    curve = 0.052 + 0.9 * below * root(root(below))
    beside = (s.across.abs() - curve).abs()
    over = trunk & pack & front & (s.down < 0.2)
    bag = s.per_person(lambda p: p.outfit.bag == "shoulder") > 0
    slung = (s.across * s.per_person(lambda p: p.outfit.side) + 0.058 - 0.5 * (s.down + 0.02)).abs()
    across = trunk & bag & (s.down < 0.3)
    s.darken((over & (beside < 0.017)) | (across & (slung < 0.016)), 0.72)
    band = (over & (beside < 0.012)) | (across & (slung < 0.0115))
    s.paint(band, Region.BAG)
    s.shade = torch.where(band, 1.0, s.shade)


def _bag(s: Surface) -> None:
    """Paint the zip along the top of a bag and the seam around it."""
    bag = s.on(Part.BAG) & (s.region == Region.BAG)
    s.darken(bag & (s.facing[1] > 0.55) & (s.facing[1] < 0.75), 0.62)
    s.darken(bag & (s.facing[2].abs() < 0.12), 0.75)
    s.darken(s.on(Part.STRAP) & (remainder(s.hits.length, 0.11) < 0.012), 0.7)
