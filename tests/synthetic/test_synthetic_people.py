"""People as solids and surfaces: bones, garments, changes between cameras, light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from usvi_bench.synthetic import SyntheticSpec
from usvi_bench.synthetic.body import build
from usvi_bench.synthetic.cameras import cameras
from usvi_bench.synthetic.details import paint_clothes
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.face import paint_face
from usvi_bench.synthetic.identity import Person, Region, draw_person
from usvi_bench.synthetic.layout import Shot
from usvi_bench.synthetic.raycast import Hits, cast
from usvi_bench.synthetic.relief import relief
from usvi_bench.synthetic.render import dressed_person, picture
from usvi_bench.synthetic.skeleton import SIDES, Pose, joints_of
from usvi_bench.synthetic.solids import Primitives
from usvi_bench.synthetic.surface import Surface
from usvi_bench.synthetic.view import draw_view
from usvi_bench.synthetic.wardrobe import Outfit, draw_outfit
from usvi_bench.synthetic.worn import CHANGING, worn

SPEC = SyntheticSpec(size="tiny")
BARE = {"hat": "none", "bag": "none", "hood": 0.0, "scarf": 0.0, "glasses": 0.0, "mask": 0.0, "opening": 0.0,
        "tucked": 0.0, "pockets": 0.0, "hem": 0.0, "top": "t-shirt", "bottom": "trousers", "sleeves": 0.6,
        "trousers": 1.96, "shoes": "shoes"}  # fmt: skip


def plain(**changes: object) -> Person:
    """Make a person without accessories, with some attributes changed."""
    person = draw_person(SPEC, "sysu", 1)
    body = replace(person.body, style="short", beard=0.0, gaze=0.1)
    return replace(person, body=body, outfit=replace(person.outfit, **{**BARE, **changes}))  # type: ignore[arg-type]


def pose_of(count: int, azimuth: float = 0.3) -> Pose:
    phase = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return Pose(np.full(count, azimuth), np.full(count, 0.15), phase, np.ones(count))


def look(person: Person, azimuth: float = 0.3, rows: int = 256) -> tuple[Primitives, Hits]:
    solids = build([person], pose_of(1, azimuth))
    x = torch.linspace(-0.6, 0.6, rows // 4)[None]
    return solids, cast(solids, x, torch.linspace(1.95, -0.1, rows)[None])


def regions_of(person: Person, azimuth: float = 0.3) -> set[int]:
    solids, hits = look(person, azimuth)
    surface = Surface(hits, solids, [person])
    paint_clothes(surface)
    paint_face(surface)
    return set(surface.region.tolist())


def test_bones_keep_their_length_and_a_foot_stays_on_the_ground() -> None:
    joints = joints_of([plain()] * 16, pose_of(16))
    for name in SIDES:
        for first, last in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
            length = np.linalg.norm(joints[f"{name} {first}"] - joints[f"{name} {last}"], axis=-1)
            assert np.ptp(length) < 1e-9
    lowest = np.min([joints[f"{name} {part}"][:, 1] for name in SIDES for part in ("heel", "toe")], axis=0)
    np.testing.assert_allclose(lowest, 0.012 * joints["stature"])


def test_arms_swing_against_the_legs() -> None:
    joints = joints_of([plain()] * 16, pose_of(16))
    for name in SIDES:
        leg, arm = (joints[f"{name} {part}"][:, 2] for part in ("knee", "elbow"))
        assert np.corrcoef(leg, arm)[0, 1] < -0.8


@pytest.mark.parametrize(
    ("change", "region"),
    [
        ({"hat": "beanie"}, Region.HAT),
        ({"hat": "cap"}, Region.HAT),
        ({"hat": "brim"}, Region.HAT),
        ({"scarf": 1.0}, Region.SCARF),
        ({"glasses": 1.0}, Region.GLASSES),
        ({"mask": 1.0}, Region.MASK),
        ({"bag": "backpack"}, Region.BAG),
        ({"bag": "shoulder"}, Region.BAG),
        ({"bag": "hand"}, Region.BAG),
        ({"top": "jacket", "sleeves": 1.9, "opening": 0.6}, Region.INNER),
        ({"top": "jacket", "sleeves": 1.9, "pockets": 1.0}, Region.TRIM),
        ({"top": "shirt", "sleeves": 1.9}, Region.TRIM),
        ({"tucked": 1.0}, Region.BELT),
    ],
)
def test_worn_items_are_visible(change: dict[str, object], region: Region) -> None:
    assert region not in regions_of(plain())
    assert region in regions_of(plain(**change))


def test_faces_have_eyes_and_lips_only_in_front() -> None:
    parts = {Region.EYES, Region.LIPS}
    assert parts <= regions_of(plain(), azimuth=0.0)
    assert not parts & regions_of(plain(), azimuth=np.pi)


@pytest.mark.parametrize("change", [{"glasses": 1.0}, {"mask": 1.0}, {"top": "shirt"}, {"bag": "shoulder"}])
def test_a_detail_changes_pixels_of_the_person_only(change: dict[str, object]) -> None:
    camera = replace(cameras("sysu", 1.0)[3], blur=0.05, shutter=0.0)
    view = replace(draw_view(SPEC, "sysu", camera, Shot("", 1, 4, 0, 0)), azimuth=0.0, occluded=False)
    # A bag on the far side moves the box; a strap must not be judged by that.
    size = {"bag_size": 0.01} if "bag" in change else {}
    before, after = (picture(SPEC, camera, [plain(**c, **size)], [view], 128) for c in ({}, change))
    changed = (before.pixels != after.pixels).any(-1)
    assert changed.any()
    person = torch.nn.functional.max_pool2d(torch.from_numpy(np.maximum(before.coverage, after.coverage)), 5, 1, 2)
    assert not (changed & (person.numpy() == 0)).any()


def test_some_people_change_for_one_camera() -> None:
    spec, changed = SyntheticSpec(), 0
    for number in range(1, 301):
        person = draw_person(spec, "sysu", number)
        outfits = [worn(spec, "sysu", person, camera) for camera in range(1, 7)]
        assert outfits == [dressed_person(spec, "sysu", number, camera).outfit for camera in range(1, 7)]
        different = sum(outfit != person.outfit for outfit in outfits)
        assert different <= 1
        changed += different
    assert abs(changed / 300 - CHANGING) < 0.08


def test_outfits_are_equal_in_two_cameras_that_see_the_same_moment() -> None:
    spec = SyntheticSpec()
    for number in range(1, 61):
        person = draw_person(spec, "regdb", number)
        assert [worn(spec, "regdb", person, camera) for camera in (1, 2)] == [person.outfit] * 2


def test_every_garment_is_drawn() -> None:
    rng = Draws(0)
    outfits: list[Outfit] = [draw_outfit(rng, skirts=True) for _ in range(400)]
    for name, values in {"hat": 4, "bag": 4, "shoes": 3, "top": 6, "bottom": 5, "hood": 3}.items():
        assert len({getattr(outfit, name) for outfit in outfits}) == values, name
    assert not any(draw_outfit(rng, skirts=False).top == "dress" for _ in range(200))


@pytest.mark.parametrize(("layout", "camera"), [("sysu", 1), ("sysu", 6), ("regdb", 2)])
def test_pictures_hold_people(layout: str, camera: int) -> None:
    numbers = range(1, 13)
    people = [draw_person(SPEC, layout, number) for number in numbers]
    seeing = cameras(layout, 1.0)[camera - 1]  # type: ignore[arg-type]
    views = [draw_view(SPEC, layout, seeing, Shot("", number, camera, 0, 0)) for number in numbers]  # type: ignore[arg-type]
    made = picture(SPEC, seeing, people, views, 128)
    share = made.coverage.mean((1, 2))
    assert np.isfinite(made.coverage).all()
    assert ((share > 0.1) & (share < 0.65)).all()
    assert (made.occlusion == 0).all()
    hidden = picture(SPEC, seeing, people, [replace(view, occluded=True) for view in views], 128)
    assert (hidden.occlusion < 1).all()
    # a thing is put before the place, so that it may stand beside its person
    assert (hidden.occlusion > 0).mean() > 0.8


def test_light_reaches_open_places_and_not_corners() -> None:
    _, hits = look(plain())
    light = relief(hits, (1, 256, 64), torch.tensor([1.2 / 64]), (0.6, 0.8, 0.2))
    for share in (light.open, light.lit):
        assert float(share.min()) >= 0.0
        assert float(share.max()) <= 1.0
    assert 0.02 < float((light.lit < 0.5).float().mean()) < 0.6
    frontal = relief(hits, (1, 256, 64), torch.tensor([1.2 / 64]), (0.0, 0.0, 1.0))
    assert float(frontal.lit.min()) == 1.0
    np.testing.assert_allclose(light.normal.norm(dim=0), 1.0, rtol=1e-4)
