"""Knobs: each changes only its own cause, in the draws of each image and in its pixels."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from usvi_bench.synthetic.cameras import Camera, Layout
from usvi_bench.synthetic.layout import Shot, plan
from usvi_bench.synthetic.render import Rendered, camera_of, draw, dressed_person
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.view import draw_view

USUAL = SyntheticSpec(size="tiny")
LOOKS = {field.name for field in fields(Camera)} - {"number", "band", "place"}
CHANGES: dict[str, tuple[float, set[str]]] = {
    "modality_gap": (0.0, set()),
    "camera_gap": (0.0, {"view.elevation", *(f"camera.{name}" for name in LOOKS)}),
    "clothing_similarity": (1.0, {"person.outfit", "person.materials"}),
    "recolour": (1.0, {"person.materials"}),
    "occlusion": (1.0, {"view.occluded"}),
    "pose": (0.0, {"view.azimuth", "view.amplitude"}),
    "boxes": (1.0, {"view.margin", "view.stretch", "view.shift_x", "view.shift_y"}),
    "mismatch": (0.5, set()),
    "foreign": (0.5, set()),
}
"""Another level than the usual one, and all that may differ from it; whatever is named must differ somewhere."""


def drawn(spec: SyntheticSpec, layout: Layout, shot: Shot) -> dict[str, Any]:
    """Return all draws of an image, by name."""
    camera = camera_of(spec, layout, shot.camera)
    parts = {"camera": camera, "person": dressed_person(spec, layout, shot.person, shot.camera)}
    parts |= {"view": draw_view(spec, layout, camera, shot)}
    return {f"{name}.{field.name}": getattr(part, field.name) for name, part in parts.items() for field in fields(part)}


def sample(layout: Layout) -> list[Shot]:
    return list(plan(layout, USUAL).shots)[::5]


@cache
def pictures(spec: SyntheticSpec, layout: Layout, camera: int) -> Rendered:
    shots = [shot for shot in plan(layout, USUAL).shots if shot.camera == camera][::7]
    return draw(spec, layout, shots, 128)


def turned(knob: str) -> SyntheticSpec:
    return replace(USUAL, **{knob: CHANGES[knob][0]})


@pytest.mark.parametrize("knob", CHANGES)
def test_a_knob_changes_only_its_own_cause(knob: str) -> None:
    assert set(CHANGES) == set(USUAL.knobs())
    changed = set()
    for layout in ("sysu", "regdb"):
        for shot in sample(layout):
            before, after = drawn(USUAL, layout, shot), drawn(turned(knob), layout, shot)
            changed |= {name for name in before if before[name] != after[name]}
    allowed = CHANGES[knob][1]
    assert changed <= allowed
    if knob != "camera_gap":
        assert changed == allowed
    else:
        assert {"camera.gain", "camera.balance", "camera.gamma", "view.elevation"} <= changed
    same_plan = all(plan(layout, turned(knob)) == plan(layout, USUAL) for layout in ("sysu", "regdb"))
    assert same_plan == (knob not in ("mismatch", "foreign"))


def apart(first: Rendered, second: Rendered) -> NDArray[np.bool_]:
    """Return True for images that differ, ``[B]``."""
    return np.asarray((first.pixels != second.pixels).any(axis=(1, 2, 3)))


def background(*rendered: Rendered) -> NDArray[np.bool_]:
    """Select pixels of the upper half, where no shadow falls, at least ten pixels away from any person."""
    covered = torch.from_numpy(np.maximum.reduce([found.coverage for found in rendered])) > 0
    near = torch.nn.functional.max_pool2d(covered[:, None].float(), 21, 1, 10)[:, 0] > 0
    near[:, 64:] = True
    return ~near.numpy()


def test_modality_gap_leaves_visible_images_and_all_silhouettes() -> None:
    for layout, visible, infrared in (("sysu", 2, 3), ("sysu", 4, 6), ("regdb", 1, 2)):
        assert not apart(pictures(USUAL, layout, visible), pictures(turned("modality_gap"), layout, visible)).any()
        before, after = (pictures(spec, layout, infrared) for spec in (USUAL, turned("modality_gap")))
        assert apart(before, after).all()
        assert (before.coverage == after.coverage).all()


def test_camera_gap_0_leaves_one_camera_s_optics() -> None:
    spec = turned("camera_gap")
    looks = [
        [getattr(camera_of(spec, "sysu", number), name) for name in ("gain", "balance", "gamma", "blur", "elevation")]
        for number in (1, 2, 4, 5)
    ]
    assert all(look == looks[0] for look in looks)


def test_clothing_similarity_leaves_who_keeps_own_clothes_and_every_background() -> None:
    spec = replace(USUAL, clothing_similarity=0.5)
    for camera in (1, 5):
        before, after = pictures(USUAL, "sysu", camera), pictures(spec, "sysu", camera)
        shots = [shot for shot in plan("sysu", USUAL).shots if shot.camera == camera][::7]
        changed = [
            dressed_person(USUAL, "sysu", s.person, camera) != dressed_person(spec, "sysu", s.person, camera)
            for s in shots
        ]
        assert 0 < sum(changed) < len(shots)
        assert apart(before, after).tolist() == changed
        far = background(before, after)
        assert far.sum() > 1000
        assert (before.pixels[far] == after.pixels[far]).all()


def test_occlusion_changes_that_share_of_images_and_only_where_something_stands() -> None:
    spec = replace(USUAL, occlusion=0.5)
    hidden = []
    for layout, camera in (("sysu", 1), ("sysu", 6), ("regdb", 2)):
        before, after = pictures(USUAL, layout, camera), pictures(spec, layout, camera)  # type: ignore[arg-type]
        assert (before.occlusion == 0).all()
        assert (before.coverage == after.coverage).all()
        changed = apart(before, after)
        assert (changed >= (after.occlusion > 0)).all()
        assert after.occlusion.max() < 0.8
        kept = (before.pixels == after.pixels).all(-1).mean((1, 2))
        assert (kept[changed] > 0.2).all()
        hidden += changed.tolist()
    assert 0.25 < np.mean(hidden) < 0.75
    more = [drawn(replace(USUAL, occlusion=0.8), "sysu", shot)["view.occluded"] for shot in sample("sysu")]
    fewer = [drawn(spec, "sysu", shot)["view.occluded"] for shot in sample("sysu")]
    assert all(a >= b for a, b in zip(more, fewer, strict=True))


def test_pose_leaves_every_background() -> None:
    for camera in (2, 4):
        before, after = pictures(USUAL, "sysu", camera), pictures(turned("pose"), "sysu", camera)
        assert apart(before, after).all()
        far = background(before, after)
        assert far.sum() > 300
        assert (before.pixels[far] == after.pixels[far]).all()


def test_pose_between_turns_that_share_of_walks_and_to_no_side_more_than_to_the_other() -> None:
    half = replace(USUAL, pose=0.5)
    walks = [shot for shot in plan("sysu", SyntheticSpec(size="small")).shots if shot.step == 0]
    heading = np.array([draw_view(half, "sysu", camera_of(half, "sysu", s.camera), s).azimuth for s in walks])
    turned = np.abs(heading) > 0.8
    assert abs(turned.mean() - 0.5 * 0.6) < 0.05
    sides = heading[turned & (np.abs(heading) < 2.2)]
    assert abs((sides > 0).mean() - 0.5) < 0.1
    assert len(sides) < turned.sum() < 2.5 * len(sides), "some walk away"


def test_both_cameras_of_regdb_see_the_same_walk() -> None:
    visible, infrared = ([s for s in plan("regdb", USUAL).shots if s.camera == camera] for camera in (1, 2))
    pairs = [
        [draw_view(USUAL, "regdb", camera_of(USUAL, "regdb", s.camera), s) for s in both]
        for both in zip(visible, infrared, strict=True)
    ]
    assert all(abs(a.azimuth - b.azimuth) < 1 and abs(a.phase - b.phase) < 1.2 for a, b in pairs)
    assert len({a.azimuth for pair in pairs for a in pair}) == 2 * len(pairs)


def test_recolour_changes_that_share_of_visible_cameras_and_no_infrared_image() -> None:
    whole, half = (replace(USUAL, recolour=level) for level in (1.0, 0.5))
    assert apart(pictures(USUAL, "sysu", 2), pictures(whole, "sysu", 2)).all()
    for layout, camera in (("sysu", 3), ("regdb", 2)):
        assert not apart(pictures(USUAL, layout, camera), pictures(whole, layout, camera)).any()  # type: ignore[arg-type]
    seen = [(person, camera) for person in range(1, 60) for camera in (1, 2, 4, 5)]
    changed = [
        dressed_person(half, "sysu", *each).materials != dressed_person(USUAL, "sysu", *each).materials for each in seen
    ]
    assert 0.4 < np.mean(changed) < 0.6
    assert (pictures(USUAL, "sysu", 2).coverage == pictures(whole, "sysu", 2).coverage).all()


def test_looser_boxes_show_less_of_the_person() -> None:
    """Person and moment are the same; the background changes because it moves with the box."""
    tight, usual, loose = (replace(USUAL, boxes=level) for level in (0.0, 0.5, 1.0))
    for camera in (2, 4):
        filled = [pictures(spec, "sysu", camera).coverage.mean() for spec in (tight, usual, loose)]
        assert filled[0] > filled[1] > filled[2]


def test_pose_0_walks_towards_the_camera_and_boxes_0_fit() -> None:
    for shot in sample("sysu"):
        assert drawn(turned("pose"), "sysu", shot)["view.azimuth"] == 0
        tight = drawn(replace(USUAL, boxes=0.0), "sysu", shot)
        assert (tight["view.shift_x"], tight["view.shift_y"], tight["view.margin"]) == (0, 0, 1.005)


def test_mismatch_leaves_the_pixels_of_every_image_that_stays() -> None:
    spec = turned("mismatch")
    left = set(plan("sysu", spec).shots)
    stays = [shot for shot in plan("sysu", USUAL).shots if shot.camera == 5 and shot in left][::9]
    assert (draw(spec, "sysu", stays, 128).pixels == draw(USUAL, "sysu", stays, 128).pixels).all()
