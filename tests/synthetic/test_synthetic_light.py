"""Materials, climates, places, occluders and optics of the synthetic people."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from usvi_bench.synthetic.cameras import REGDB, SYSU, cameras
from usvi_bench.synthetic.climate import CLIMATES, draw_climate
from usvi_bench.synthetic.clothing import Pattern, fabric, luma, transmitted_warmth
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.identity import Person, Region, draw_person
from usvi_bench.synthetic.layout import plan
from usvi_bench.synthetic.occluder import cover
from usvi_bench.synthetic.optics import _blur, develop
from usvi_bench.synthetic.palette import palette_of
from usvi_bench.synthetic.places import PLACES
from usvi_bench.synthetic.scene import background, plate
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.view import View, draw_view

SPEC = SyntheticSpec(size="tiny")
NEAR, THERMAL = SYSU[2], REGDB[1]


def _views(camera: int = 2, **changes: object) -> list[View]:
    shots = [shot for shot in plan("regdb", SPEC).shots if shot.camera == camera and shot.step == 0]
    return [replace(draw_view(SPEC, "regdb", REGDB[camera - 1], shot), **changes) for shot in shots]  # type: ignore[arg-type]


def _dressed(person: Person, **changes: object) -> Person:
    return replace(person, materials=tuple(replace(m, **changes) for m in person.materials))  # type: ignore[arg-type]


def test_climates_come_in_their_shares() -> None:
    draws = [draw_climate(Draws(seed)) for seed in range(2000)]
    seen = Counter(kind for kind, _ in draws)
    for kind, climate in enumerate(CLIMATES):
        assert seen[kind] / len(draws) == pytest.approx(climate.share, abs=0.04)
        assert np.mean([w for k, w in draws if k == kind]) == pytest.approx(climate.around[0], abs=0.02)


def test_thermal_levels_follow_warmth_and_lightness() -> None:
    person, views = draw_person(SPEC, "regdb", 1), _views()[:3]
    kinds = [{"heat": 0.3}, {"heat": 0.7}, {"heat": 0.3, "colour": (1.0,) * 3, "second": (1.0,) * 3}]
    cold, warm, light = (palette_of([_dressed(person, **kind)] * 3, THERMAL, views, 1.0).base for kind in kinds)
    assert ((warm > cold) | (cold == 1)).all()
    assert ((light > cold) | (cold == 1)).all()
    hidden = palette_of([_dressed(person, heat=0.3, near=0.9)] * 3, THERMAL, views, 1.0)
    assert torch.equal(hidden.base, cold)


@pytest.mark.parametrize("kind", range(len(CLIMATES)))
def test_thermal_levels_of_a_loop(kind: int) -> None:
    person, climate = draw_person(SPEC, "regdb", 1), CLIMATES[kind]
    views = _views(climate=kind, warmth=0.2, exposure=1.0)[:1]
    found = palette_of([person], THERMAL, views, 1.0)
    for region, material in enumerate(person.materials):
        heat = (0.62 + 0.1 * (material.heat - 0.62)) ** climate.insulation
        warmth = 0.2 + (climate.skin - 0.2) * (heat * (1 + climate.chill) - climate.chill)
        for level, colour in ((found.base, material.colour), (found.second, material.second)):
            expected = min(max(warmth + 0.9 * (luma(colour) - 0.45), 0.0), 1.0)
            assert level[0, region, 0] == pytest.approx(expected, abs=1e-6)


def test_without_gap_every_sensor_sees_grey_visible() -> None:
    person, views = draw_person(SPEC, "sysu", 1), _views()[:1]
    grey = [luma(material.colour) for material in person.materials]
    for camera in (NEAR, THERMAL):
        base = palette_of([person], camera, views, 0.0).base[0, :, 0]
        np.testing.assert_allclose(base, grey, atol=1e-6)


def test_near_infrared_is_bright_and_keeps_a_part_of_the_pattern() -> None:
    cloths = [fabric(Draws(seed), 1.0, 0.5) for seed in range(400)]
    assert np.mean([cloth.near for cloth in cloths]) > 0.7 > 2 * np.mean([luma(cloth.colour) for cloth in cloths])
    assert 0.6 <= min(c.kept for c in cloths) < 0.65 < 0.95 < max(c.kept for c in cloths) <= 1.0
    assert 0.7 < np.corrcoef([c.near for c in cloths], [luma(c.colour) for c in cloths])[0, 1] < 0.98
    assert abs(np.corrcoef([c.heat for c in cloths], [luma(c.colour) for c in cloths])[0, 1]) < 0.15
    assert all(cloth.pattern != Pattern.PLAIN for cloth in cloths)


def test_thick_garments_let_less_warmth_through() -> None:
    levels = [transmitted_warmth(thickness) for thickness in np.linspace(0, 0.04, 9)]
    assert levels == sorted(levels, reverse=True)
    assert 0 < levels[-1] < levels[0] < 1


@pytest.mark.parametrize("place", PLACES)
def test_places_repeat_and_differ_between_sensors(place: str) -> None:
    first = plate(0, place)
    plate.cache_clear()
    assert torch.equal(first, plate(0, place))
    assert first.min() >= 0
    assert first.max() <= 1
    grey = first[:3].mean(0).flatten()
    assert all(abs(np.corrcoef(grey, first[channel].flatten())[0, 1]) < 0.8 for channel in (3, 4))


def test_background_is_that_of_the_climate() -> None:
    for kind, warmth in enumerate((0.12, 0.36, 0.55)):
        levels = background(0, THERMAL, _views(climate=kind, warmth=warmth), 64, 1.0)
        assert levels.mean() == pytest.approx(warmth, abs=0.1)


def test_occluders_change_only_hidden_pixels() -> None:
    views = _views(occluded=True) + _views(camera=1, occluded=True)
    image = torch.full((len(views), 3, 64, 32), 2.0)
    covered, hidden = cover(image, NEAR, views, 1.0)
    assert torch.equal((covered != 2.0).any(1), hidden)
    share = hidden.float().mean((1, 2))
    assert (share > 0).all()
    assert (share <= 0.6).all()
    clear, nothing = cover(image, NEAR, [replace(view, occluded=False) for view in views], 1.0)
    assert torch.equal(clear, image)
    assert not nothing.any()


def test_blur_does_not_depend_on_the_batch() -> None:
    image = torch.rand(3, 1, 32, 16, generator=torch.Generator().manual_seed(0))
    together = _blur(image, [0.4, 2.5, 1.0])
    for index, sigma in enumerate([0.4, 2.5, 1.0]):
        assert torch.equal(together[index : index + 1], _blur(image[index : index + 1], [sigma]))
    assert _blur(torch.ones(1, 1, 9, 9), [1.3]).sub(1).abs().max() < 1e-6


def test_develop_does_not_depend_on_the_batch_and_saturates() -> None:
    views = _views(camera=1)[:4]
    light = torch.rand(4, 3, 32, 16, generator=torch.Generator().manual_seed(1))
    for camera in (*SYSU, *REGDB):
        together = develop(light, camera, views)
        assert torch.equal(together[2:3], develop(light[2:3], camera, views[2:3]))
        assert develop(light * 9, camera, views).float().mean() > 200


def test_camera_gap_brings_cameras_together() -> None:
    near, far = ([c for c in cameras("sysu", gap) if c.band == "visible"] for gap in (0.0, 1.0))
    for name in ("gain", "gamma", "blur", "noise", "falloff", "relief", "swing", "vignette"):
        assert len({getattr(camera, name) for camera in near}) == 1
    assert len({camera.gain for camera in far}) > 1


def test_regions_keep_their_order_in_the_palette() -> None:
    person, views = draw_person(SPEC, "sysu", 1), _views()[:1]
    base = palette_of([person], SYSU[0], views, 1.0).base
    assert base.shape == (1, len(Region), 3)
    np.testing.assert_allclose(base[0, Region.HAIR], person.materials[Region.HAIR].colour, atol=1e-6)
