"""People whose visible training images show a stranger: the knob ``foreign``, which keeps all counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic.test_synthetic_layout import LEVELS, TINY, empty_tree
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.llcm import LLCM
from usvi_bench.datasets.regdb import RegDB
from usvi_bench.datasets.sysu import VISIBLE_CAMERAS, Sysu
from usvi_bench.synthetic import ensure
from usvi_bench.synthetic.draws import stream
from usvi_bench.synthetic.layout import plan
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.unpaired import foreign_people

READERS = {"sysu": Sysu, "regdb": RegDB, "llcm": LLCM}
LAYOUTS = list(READERS)
TOTAL = {"sysu": 22, "regdb": 16, "llcm": 20}
"""People of the tiny trees."""


def opened(layout: str, alpha: float, root: Path) -> Dataset:
    return READERS[layout](empty_tree(layout, replace(TINY, foreign=alpha), root))  # type: ignore[no-any-return]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_counts_cameras_and_test_people_are_those_without_strangers(layout: str, tmp_path: Path) -> None:
    usual = opened(layout, 0.0, tmp_path / "usual")
    for alpha in LEVELS[1:]:
        found = opened(layout, alpha, tmp_path / str(alpha))
        for fold in usual.folds:
            before, after = usual.train(fold), found.train(fold)
            assert after.infrared.paths == before.infrared.paths
            assert (after.infrared.identities == before.infrared.identities).all()
            assert Counter(after.visible.cameras.tolist()) == Counter(before.visible.cameras.tolist())
            sizes = [sorted(Counter(split.visible.identities.tolist()).values()) for split in (before, after)]
            assert sizes[0] == sizes[1]
            assert usual.test(fold).visible.paths == found.test(fold).visible.paths
            assert usual.test(fold).infrared.paths == found.test(fold).infrared.paths


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("alpha", LEVELS)
def test_that_share_of_people_has_strangers_in_their_place(layout: str, alpha: float, tmp_path: Path) -> None:
    found = opened(layout, alpha, tmp_path)
    for fold in found.folds:
        split = found.train(fold)
        visible, infrared = (set(table.identities.tolist()) for table in (split.visible, split.infrared))
        assert len(visible) == len(infrared)
        assert len(infrared - visible) == len(visible - infrared) == round(alpha * len(infrared))
        rows = zip(split.visible.paths, split.visible.identities.tolist(), strict=True)
        numbers = {int(path.split("/")[1]) for path, who in rows if who not in infrared}
        assert all(number > TOTAL[layout] for number in numbers)
        assert len(numbers) == len(visible - infrared)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stranger_has_camera_walk_and_frame_of_the_person(layout: str) -> None:
    usual, whole = (plan(layout, replace(TINY, foreign=alpha)).shots for alpha in (0.0, 1.0))  # type: ignore[arg-type]
    moments = {(s.person, s.camera, s.walk, s.step) for s in usual}
    strangers = [s for s in whole if s.person > TOTAL[layout]]
    assert strangers
    assert all((s.person - TOTAL[layout], s.camera, s.walk, s.step) in moments for s in strangers)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_larger_share_has_the_strangers_of_a_smaller_one(layout: str) -> None:
    planned = [plan(layout, replace(TINY, foreign=alpha)).shots for alpha in LEVELS]  # type: ignore[arg-type]
    strangers = [{shot for shot in shots if shot.person > TOTAL[layout]} for shots in planned]
    assert all(fewer < more for fewer, more in pairwise(strangers))


def test_files_of_infrared_and_of_other_people_have_the_same_bytes(tiny_people: dict[str, Path], cache: Path) -> None:
    usual = tiny_people["sysu"]
    changed = ensure("sysu", replace(TINY, foreign=0.5), cache, workers=1)
    names = [{str(path.relative_to(root)) for path in root.glob("cam*/*/*.jpg")} for root in (usual, changed)]
    gone = names[0] - names[1]
    assert len(gone) == len(names[1] - names[0]) > 0
    assert {int(name[3]) for name in gone} <= set(VISIBLE_CAMERAS)
    assert all((usual / name).read_bytes() == (changed / name).read_bytes() for name in names[0] & names[1])
    for name in names[1] - names[0]:
        camera, person, frame = name.split("/")
        replaced = usual / camera / f"{int(person) - TOTAL['sysu']:04d}" / frame
        assert replaced.read_bytes() != (changed / name).read_bytes()
    data = Sysu(changed)
    assert data.fingerprint != Sysu(usual).fingerprint
    assert data.knobs == {"foreign": 0.5}


def test_names_and_notes_of_earlier_trees_stay() -> None:
    assert SyntheticSpec().folder("sysu") == "sysu-v6-small-128-seed0-cfd38d21"
    assert SyntheticSpec(mismatch=0.5).folder("regdb") == "regdb-v7-small-128-seed0-f536481f"
    assert "foreign" not in SyntheticSpec(mismatch=0.5).note()
    assert SyntheticSpec(**SyntheticSpec(foreign=0.5).note()) == SyntheticSpec(foreign=0.5)  # type: ignore[arg-type]
    assert SyntheticSpec(foreign=0.5).folder("sysu") != SyntheticSpec().folder("sysu")


def test_mismatch_and_foreign_together_are_refused() -> None:
    with pytest.raises(UsageError, match=r"mismatch=0\.5 and foreign=0\.25: use one"):
        SyntheticSpec(mismatch=0.5, foreign=0.25)


def test_chosen_people_are_the_first_of_a_permutation_of_their_own() -> None:
    people = np.arange(1, 41)
    order = stream(0, "foreign", 3).permutation(people)
    found = foreign_people(SyntheticSpec(foreign=0.3), people.tolist()[::-1], 100, fold=3)
    assert found == {int(person): 100 + int(person) for person in order[:12]}
