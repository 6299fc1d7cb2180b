"""Body of a walking person as solid primitives: trunk, limbs and garments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usvi_bench.synthetic.carried import add_bags
from usvi_bench.synthetic.head import add_head
from usvi_bench.synthetic.identity import Person, Region
from usvi_bench.synthetic.skeleton import SIDES, Array, Pose, columns, distance, joints_of, vector
from usvi_bench.synthetic.solids import Builder, Part, Primitives, to_camera

_SIDEWAYS = (1.0, 0.0, 0.0)


def build(people: Sequence[Person], pose: Pose) -> Primitives:
    """Build the primitives of each person at the given moment, in camera axes."""
    builder = Builder(len(people))
    joints = joints_of(people, pose)
    _trunk(builder, people, joints)
    _hems(builder, people, joints)
    add_head(builder, people, joints, pose)
    for name in SIDES:
        _arm(builder, people, joints, name)
        _leg(builder, people, joints, name)
        _foot(builder, people, joints, name)
    add_bags(builder, people, joints)
    return to_camera(builder, pose, joints)


def _trunk(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    stature, girth = joints["stature"], columns(people, lambda p: p.body.girth)
    bulk, bust = columns(people, lambda p: p.outfit.bulk), columns(people, lambda p: p.body.bust)
    shoulders, hips = (columns(people, lambda p, k=k: getattr(p.body, k)) for k in ("shoulders", "hips"))  # type: ignore[misc]
    chest = (0.6 * shoulders + 0.016 * girth + bulk) * stature
    waist = (0.34 * shoulders + 0.036 * girth - 0.007 * bust + bulk) * stature
    wide = (0.76 * hips + 0.026 * girth + 0.4 * bulk) * stature
    deep = np.clip(0.44 + 0.2 * girth + 3 * bulk, 0.6, 0.86)
    joints.update(chest_depth=chest * deep, waist_width=waist, hip_width=wide, depth=deep)
    low = joints["pelvis"] + vector(0.0, 0.03 * stature, -0.004 * stature)
    tucked = columns(people, lambda p: p.outfit.tucked)
    length = distance(joints["waist"], joints["chest"])
    builder.add(Part.TRUNK, joints["chest"], joints["waist"], (chest, waist), Region.TOP, squeeze=deep,
                offset=0.1 * stature, open_end=True)  # fmt: skip
    builder.add(Part.TRUNK, joints["waist"], low, (waist, wide), Region.TOP, beyond=Region.BOTTOM, squeeze=deep,
                cut=np.where(tucked > 0, 0.45, 9.0), offset=0.1 * stature + length, open_start=True)  # fmt: skip
    across = vector(0.5 * shoulders * stature, 0.0, 0.0)
    yoke = joints["collar"] - vector(0.0, 0.034 * stature, 0.003 * stature)
    thick = (0.026 + 0.009 * girth + 0.8 * bulk) * stature
    builder.add(Part.TRUNK, yoke + across, yoke - across, (thick, thick), Region.TOP)
    for name, side in SIDES.items():
        root = joints["neck"] + vector(side * 0.016 * stature, 0.004 * stature, -0.008 * stature)
        end = joints[f"{name} shoulder"]
        slope = ((0.033 + 0.3 * bulk) * stature, (0.017 + 0.0124 * girth + 0.4 * bulk) * stature)
        builder.add(Part.TRUNK, root, end, slope, Region.TOP, open_start=True)
    breast = joints["chest"] + vector(0.0, -0.028 * stature, chest * deep - 0.03 * stature)
    spread = vector(0.036 * stature, 0.0, 0.0)
    round_ = (0.02 + 0.022 * bust + 0.5 * bulk) * stature
    builder.add(Part.TRUNK, breast + spread, breast - spread, (round_, round_), Region.TOP, when=bust > 0.15)
    belly = joints["waist"] + vector(0.0, -0.035 * stature, (deep - 0.62) * waist)
    rise = vector(0.0, 0.05 * stature, 0.0)
    builder.add(Part.TRUNK, belly + rise, belly, (waist * 0.66, waist * 0.74), Region.TOP, when=girth > 1.12)
    seat = joints["pelvis"] - vector(0.0, 0.008 * stature, 0.012 * stature)
    half = vector(0.44 * hips * stature, 0.0, 0.0)
    plump = (0.032 + 0.02 * girth) * stature
    builder.add(Part.LEG, seat + half, seat - half, (plump, plump), Region.BOTTOM)


def _hems(builder: Builder, people: Sequence[Person], joints: dict[str, Array]) -> None:
    """Add garments that hang open below the waist: the end of a shirt or jacket, a coat, dress or skirt."""
    stature, legs, bulk = joints["stature"], joints["legs"], columns(people, lambda p: p.outfit.bulk)
    hem, flare = columns(people, lambda p: p.outfit.hem), columns(people, lambda p: p.outfit.flare)
    deep, waist = joints["depth"], joints["waist_width"]
    wide = np.maximum(joints["hip_width"], 0.062 * stature / deep) + (0.3 * bulk + 0.007) * stature
    thick = np.minimum(1.0, 0.066 * stature / wide)
    region = columns(people, lambda p: Region.TOP if p.outfit.hem_is_top else Region.BOTTOM)
    middle = joints["pelvis"] - vector(0.0, 0.005 * stature, 0.0)
    bottom = joints["pelvis"] - vector(0.0, 0.03 * stature + hem * 0.85 * legs, 0.0)
    is_top = columns(people, lambda p: p.outfit.hem_is_top)
    start = np.where(is_top[:, None] > 0, joints["waist"], joints["pelvis"] + vector(0.0, 0.055 * stature, 0.0))
    tight = np.where(is_top > 0, waist + 0.005 * stature, 0.4 * waist + 0.6 * wide)
    ends: list[Array] = [tight, wide * 1.02, wide * (1.05 + flare * (0.2 + 0.6 * hem))]
    builder.chain(Part.HEM, [start, middle, bottom], [*ends], region, squeeze=np.maximum(0.5 + 0.5 * deep, thick),
                  when=hem > 0, open_start=True, open_end=True)  # fmt: skip
    loose = columns(people, lambda p: p.outfit.top in ("hoodie", "jacket", "shirt", "t-shirt") and not p.outfit.tucked)
    drop = columns(people, lambda p: {"jacket": 0.035, "hoodie": 0.03}.get(p.outfit.top, 0.045))
    start = joints["waist"] - vector(0.0, 0.02 * stature, 0.0)
    end = joints["pelvis"] - vector(0.0, drop * stature, 0.0)
    gathered = columns(people, lambda p: 0.97 if p.outfit.top in ("hoodie", "jacket") else 1.04)
    builder.add(Part.HEM, start, end, (waist + 0.004 * stature, wide * gathered), Region.TOP,
                squeeze=np.maximum(deep, thick), when=loose, open_start=True, open_end=True,
                offset=0.24 * stature)  # fmt: skip
    joints["hem"] = np.where(hem > 0, bottom[:, 1], np.where(loose > 0, end[:, 1], 9.0))
    collar = columns(people, lambda p: p.outfit.top in ("shirt", "jacket", "coat"))
    high = columns(people, lambda p: 0.022 if p.outfit.top == "shirt" else 0.028) * stature
    root, ahead = joints["neck"] - vector(0.0, 0.014 * stature, 0.002 * stature), vector(0.0, high, 0.006 * stature)
    builder.add(Part.COLLAR, root + ahead, root, (0.038 * stature, 0.05 * stature), Region.TOP, squeeze=0.95,
                when=collar, open_start=True, open_end=True)  # fmt: skip


def _arm(builder: Builder, people: Sequence[Person], joints: dict[str, Array], name: str) -> None:
    stature = joints["stature"]
    girth, bulk = columns(people, lambda p: 0.55 + 0.45 * p.body.girth), columns(people, lambda p: p.outfit.bulk)
    sleeves = columns(people, lambda p: p.outfit.sleeves)
    shoulder, elbow, wrist = (joints[f"{name} {part}"] for part in ("shoulder", "elbow", "wrist"))
    hand, finger = joints[f"{name} hand"], joints[f"{name} finger"]
    thin, mid, low = 0.0275 * girth * stature, 0.0225 * girth * stature, 0.0155 * (0.5 + 0.5 * girth) * stature
    builder.add(Part.HAND, shoulder, elbow, (thin, mid), Region.SKIN, when=sleeves < 1)
    belly = elbow + 0.25 * (wrist - elbow)
    builder.chain(Part.HAND, [elbow, belly, wrist], [mid, mid * 1.02, low], Region.SKIN, when=sleeves < 1.8)
    ease = (0.004 + 0.75 * bulk) * stature
    upper = np.clip(sleeves, 0.0, 1.0)[:, None]
    cuff = shoulder + (elbow - shoulder) * upper
    short = sleeves < 1
    end = np.where(short, thin + (mid - thin) * upper[:, 0] + 1.3 * ease, mid + ease)
    for open_end in (True, False):
        builder.add(
            Part.ARM, shoulder, cuff, (thin + 0.5 * ease, end), Region.TOP, when=short == open_end, open_end=open_end
        )
    fore = elbow + (wrist - elbow) * np.clip(sleeves - 1.0, 0.0, 0.97)[:, None]
    builder.add(Part.ARM, elbow, fore, (mid + ease, low + 0.8 * ease), Region.TOP, when=sleeves > 1.05,
                open_start=True, open_end=True, offset=0.176 * stature)  # fmt: skip
    palm = (0.0155 * stature, 0.0185 * stature)
    builder.add(Part.HAND, wrist, hand, palm, Region.SKIN, squeeze=0.6, axis=_SIDEWAYS)
    builder.add(Part.HAND, hand, finger, (0.017 * stature, 0.0105 * stature), Region.SKIN, squeeze=0.65,
                axis=_SIDEWAYS, open_start=True)  # fmt: skip
    thumb = wrist + 0.5 * (hand - wrist) + vector(-SIDES[name] * 0.006 * stature, 0.0, 0.012 * stature)
    builder.add(Part.HAND, thumb, thumb + 0.6 * (finger - hand) + vector(0.0, 0.0, 0.008 * stature),
                (0.0085 * stature, 0.007 * stature), Region.SKIN)  # fmt: skip


def _leg(builder: Builder, people: Sequence[Person], joints: dict[str, Array], name: str) -> None:
    stature = joints["stature"]
    girth, loose = columns(people, lambda p: 0.5 + 0.5 * p.body.girth), columns(people, lambda p: p.outfit.loose)
    trousers = columns(people, lambda p: p.outfit.trousers)
    hip, knee, ankle = (joints[f"{name} {part}"] for part in ("hip", "knee", "ankle"))
    thigh, mid, low = (share * girth * stature for share in (0.047, 0.0345, 0.0215))
    builder.add(Part.BARE_LEG, hip, knee, (thigh, mid), Region.SKIN, when=trousers < 1.2)
    calf = knee + 0.3 * (ankle - knee) - vector(0.0, 0.0, 0.007 * stature)
    builder.chain(Part.HAND, [knee, calf, ankle], [mid * 0.97, mid * 1.05, low], Region.SKIN, when=trousers < 1.8)
    ease, wide = (0.004 + 0.007 * loose) * stature, (0.006 + 0.024 * loose) * stature
    upper = np.clip(trousers, 0.0, 1.0)[:, None]
    cuff = hip + (knee - hip) * upper
    short = trousers < 1.05
    end = np.where(short, thigh + (mid - thigh) * upper[:, 0] + 2.4 * ease, mid + ease + 0.3 * wide)
    for open_end in (True, False):
        builder.add(Part.LEG, hip, cuff, (thigh + ease, end), Region.BOTTOM, open_end=open_end,
                    when=(trousers > 0) & (short == open_end))  # fmt: skip
    fall = ankle + vector(0.0, 0.006 * stature, -0.002 * stature)
    tight = columns(people, lambda p: p.outfit.bottom == "leggings")
    shin = [mid + ease + 0.3 * wide, mid + 0.4 * ease + 0.6 * wide, low + np.where(tight > 0, 0.002 * stature, wide)]
    builder.chain(
        Part.LEG,
        [knee, calf, fall],
        shin,
        Region.BOTTOM,
        offset=0.475 * joints["legs"],
        when=trousers > 1.2,
        open_start=True,
        open_end=True,
    )


def _foot(builder: Builder, people: Sequence[Person], joints: dict[str, Array], name: str) -> None:
    stature = joints["stature"]
    heel, ball, toe, ankle, knee = (joints[f"{name} {part}"] for part in ("heel", "ball", "toe", "ankle", "knee"))
    rise = vector(0.0, 0.004 * stature, 0.0)
    # Wide and low solids make a flat sole.
    builder.chain(Part.FOOT, [heel + rise, ball + rise, toe + rise],
                  [0.0225 * stature, 0.029 * stature, 0.021 * stature], Region.SHOES, squeeze=0.66,
                  axis=(0.0, 1.0, 0.0))  # fmt: skip
    instep = heel + 0.62 * (ball - heel) + vector(0.0, 0.016 * stature, 0.0)
    builder.add(Part.FOOT, ankle - vector(0.0, 0.008 * stature, 0.006 * stature), instep,
                (0.026 * stature, 0.021 * stature), Region.SHOES)  # fmt: skip
    boots = columns(people, lambda p: p.outfit.shoes == "boots")
    loose = columns(people, lambda p: 0.006 + 0.024 * p.outfit.loose if p.outfit.trousers < 1.2 else 0.006) * stature
    shaft = ankle + 0.42 * (knee - ankle)
    builder.add(Part.FOOT, ankle, shaft, (0.026 * stature, 0.031 * stature + 0.3 * loose), Region.SHOES, when=boots,
                open_end=True)  # fmt: skip
