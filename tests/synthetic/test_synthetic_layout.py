"""Sizes and lists of synthetic trees, without rendering."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from usvi_bench.core.errors import UsageError
from usvi_bench.datasets import llcm
from usvi_bench.datasets.llcm import LLCM
from usvi_bench.datasets.regdb import RegDB
from usvi_bench.datasets.sysu import COUNTS, INFRARED_CAMERAS, VISIBLE_CAMERAS, Sysu
from usvi_bench.synthetic.cameras import REGDB
from usvi_bench.synthetic.layout import LONGEST_WALK, Plan, plan
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.view import draw_view

TINY = SyntheticSpec(size="tiny")
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def ids(planned: Plan, name: str) -> set[int]:
    return {int(person) for person in planned.lists[f"exp/{name}_id.txt"].split(",")}


def seen_by(planned: Plan, cameras: tuple[int, ...]) -> set[int]:
    return {shot.person for shot in planned.shots if shot.camera in cameras}


def listed(planned: Plan, fold: int, split: str) -> dict[str, set[str]]:
    """Read the labels of a RegDB fold, by modality."""
    names = {"visible": "visible", "infrared": "thermal"}
    lines = {m: planned.lists[f"idx/{split}_{word}_{fold}.txt"].splitlines() for m, word in names.items()}
    return {modality: {line.split()[1] for line in found} for modality, found in lines.items()}


def empty_tree(layout: str, spec: SyntheticSpec, root: Path) -> Path:
    """Write the tree with empty images, which is enough for a reader that only counts."""
    planned = plan(layout, spec)  # type: ignore[arg-type]
    for name, text in {**planned.lists, **dict.fromkeys((shot.path for shot in planned.shots), "")}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    note = {"generator_version": 4, "layout": "any", "spec": {}, "images": len(planned.shots), "bytes": ""}
    (root / "synthetic.json").write_text(json.dumps(note))
    return root


@pytest.mark.parametrize("size", ["tiny", "small", "medium", "full"])
def test_everybody_is_seen_in_both_modalities_and_frames_are_whole(size: str) -> None:
    planned = plan("sysu", SyntheticSpec(size=size))
    everyone = ids(planned, "available")
    assert everyone == ids(planned, "train") | ids(planned, "val") | ids(planned, "test")
    assert everyone == seen_by(planned, VISIBLE_CAMERAS) == seen_by(planned, INFRARED_CAMERAS)
    test = ids(planned, "test")
    assert test & seen_by(planned, (1,)) == test & seen_by(planned, (2,))
    assert 0.5 < len(test & seen_by(planned, (1,))) / len(test) < 0.7
    frames: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for shot in planned.shots:
        frames.setdefault((shot.person, shot.camera), []).append((shot.walk, shot.step))
    for (person, camera), taken in frames.items():
        walks = [sum(walk == number for walk, _ in taken) for number in range(taken[-1][0] + 1)]
        assert max(walks) <= LONGEST_WALK
        assert len(walks) >= 2 or len(taken) < 3
        if person in test and camera in VISIBLE_CAMERAS:
            assert len(taken) >= 10, "a multi-shot gallery takes ten"


def test_the_full_size_has_the_published_images_of_every_camera_and_split() -> None:
    planned = plan("sysu", SyntheticSpec(size="full"))
    for split in ("train", "val", "test"):
        people = ids(planned, split)
        images = [sum(s.camera == camera and s.person in people for s in planned.shots) for camera in range(1, 7)]
        assert (len(people), *images) == COUNTS[split]
    present = [len(seen_by(planned, (camera,)) - ids(planned, "test")) for camera in range(1, 7)]
    assert present == [194, 195, 392, 382, 390, 200]
    assert [len(seen_by(planned, (camera,)) & ids(planned, "test")) for camera in range(1, 7)] == [
        56, 56, 93, 94, 95, 96,
    ]  # fmt: skip


def test_small_is_large_enough_to_rank_methods() -> None:
    planned = plan("sysu", SyntheticSpec())
    assert len(ids(planned, "test")) >= 48
    assert len(ids(planned, "train") | ids(planned, "val")) == 192
    folds = plan("regdb", SyntheticSpec())
    assert len(folds.lists) == 2 * 4
    assert all(len(listed(folds, fold, "test")["visible"]) >= 32 for fold in (1, 2))


def test_regdb_people_walk_past_once_and_both_cameras_see_it() -> None:
    spec = SyntheticSpec()
    seen: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for shot in plan("regdb", spec).shots:
        seen.setdefault((shot.person, shot.camera), []).append((shot.walk, shot.step))
    assert all(moments == [(0, step) for step in range(8)] for moments in seen.values())
    assert {camera for _, camera in seen} == {1, 2}


def test_regdb_walks_begin_forth_or_back() -> None:
    spec = SyntheticSpec()
    first = [shot for shot in plan("regdb", spec).shots if shot.step == 0 and shot.camera == 1]
    forth = np.array([np.cos(draw_view(spec, "regdb", REGDB[0], shot).azimuth) for shot in first])
    assert (np.abs(forth) > 0.6).mean() > 0.9
    assert 0.4 < (forth > 0).mean() < 0.6


def test_full_regdb_is_ten_halves_of_412_people() -> None:
    planned = plan("regdb", SyntheticSpec(size="full"))
    assert len(planned.shots) == 412 * 20
    for fold in range(1, 11):
        for split in ("train", "test"):
            assert {m: len(labels) for m, labels in listed(planned, fold, split).items()} == {
                "visible": 206,
                "infrared": 206,
            }


@pytest.mark.parametrize("alpha", LEVELS)
def test_mismatch_is_the_share_of_training_people_seen_by_one_modality(alpha: float) -> None:
    spec = replace(SyntheticSpec(), mismatch=alpha)
    planned, usual = plan("sysu", spec), plan("sysu", SyntheticSpec())
    trained = ids(planned, "train") | ids(planned, "val")
    visible, infrared = seen_by(planned, VISIBLE_CAMERAS), seen_by(planned, INFRARED_CAMERAS)
    assert len(trained - (visible & infrared)) == round(alpha * len(trained))
    assert abs(len(trained - visible) - len(trained - infrared)) <= 1
    assert trained <= visible | infrared
    assert planned.lists == usual.lists
    kept = set(planned.shots)
    assert kept <= set(usual.shots)
    for shot in set(usual.shots) - kept:
        assert shot.person in trained - (visible if shot.camera in VISIBLE_CAMERAS else infrared)


@pytest.mark.parametrize("alpha", LEVELS)
def test_mismatch_holds_in_every_fold_of_the_regdb_layout(alpha: float) -> None:
    planned = plan("regdb", replace(SyntheticSpec(), mismatch=alpha))
    usual = plan("regdb", SyntheticSpec())
    for fold in (1, 2):
        train = listed(planned, fold, "train")
        assert len(train["visible"] | train["infrared"]) == 360
        assert len(train["visible"] & train["infrared"]) == 360 - round(alpha * 360)
        assert listed(planned, fold, "test") == listed(usual, fold, "test")
        old = [
            line for name in ("visible", "thermal") for line in usual.lists[f"idx/train_{name}_{fold}.txt"].split("\n")
        ]
        new = [
            line
            for name in ("visible", "thermal")
            for line in planned.lists[f"idx/train_{name}_{fold}.txt"].split("\n")
        ]
        assert set(new) <= set(old)


def test_a_larger_mismatch_only_adds_people() -> None:
    shots = [set(plan("sysu", replace(SyntheticSpec(), mismatch=alpha)).shots) for alpha in LEVELS]
    assert all(more < less for less, more in pairwise(shots))


@pytest.mark.parametrize("alpha", LEVELS)
@pytest.mark.parametrize("layout", ["sysu", "regdb", "llcm"])
def test_readers_accept_every_mismatch(layout: str, alpha: float, tmp_path: Path) -> None:
    root = empty_tree(layout, replace(TINY, mismatch=alpha), tmp_path)
    dataset = {"sysu": Sysu, "regdb": RegDB, "llcm": LLCM}[layout](root)
    for fold in dataset.folds:
        split = dataset.train(fold)
        both = np.intersect1d(split.visible.identities, split.infrared.identities)
        people = np.union1d(split.visible.identities, split.infrared.identities)
        assert len(both) == len(people) - round(alpha * len(people))


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_each_modality_of_llcm_sees_each_person_with_several_cameras(size: str, tmp_path: Path) -> None:
    data = LLCM(empty_tree("llcm", SyntheticSpec(size=size), tmp_path))
    for split in (data.train(), data.test()):
        people = set(split.visible.identities.tolist())
        assert people == set(split.infrared.identities.tolist())
        for table in (split.visible, split.infrared):
            assert set(table.cameras.tolist()) <= set(llcm.CAMERAS[table.modality])
            pairs = llcm.pairs_of(table)
            assert all(sum(identity == person for identity, _ in pairs) >= 3 for person in people)
    assert set(data.train().visible.identities.tolist()) == set(range(len(people_of(data))))


def people_of(data: LLCM) -> set[int]:
    return {int(path.split("/")[1]) for path in data.train().visible.paths}


def test_full_llcm_has_the_published_numbers() -> None:
    planned = plan("llcm", SyntheticSpec(size="full"))
    for split, (people, *images) in llcm.COUNTS.items():
        shots = [[s for s in planned.shots if s.path.startswith(f"{split}_{word}/")] for word in ("vis", "nir")]
        assert [len(own) for own in shots] == images
        assert len({shot.person for own in shots for shot in own}) == people
    assert planned.lists["idx/train_nir.txt"].count("\n") == llcm.COUNTS["train"][2]


def test_heights() -> None:
    assert (SyntheticSpec().height, SyntheticSpec(size="full").height) == (128, 288)
    assert SyntheticSpec(height=128) == SyntheticSpec()
    assert SyntheticSpec(height=288).folder("sysu") != SyntheticSpec().folder("sysu")
    with pytest.raises(UsageError, match="128, 288"):
        SyntheticSpec(height=256)


def test_gpu_renders_are_a_separate_data_set() -> None:
    assert SyntheticSpec(device="cuda").folder("sysu") == SyntheticSpec().folder("sysu") + "+cuda"
    with pytest.raises(UsageError, match="did you mean cuda"):
        SyntheticSpec(device="cud")
