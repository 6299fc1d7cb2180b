"""Training people whose visible images are replaced by those of donors: who, whose and which images."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.trees import write_noise, write_regdb, write_sysu
from usvi_bench.core.errors import UsageError
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.people_folder import PeopleFolder
from usvi_bench.datasets.regdb import RegDB
from usvi_bench.datasets.sysu import Sysu
from usvi_bench.datasets.unpaired import UnpairedData, UnpairedTable, chosen_people, pair_donors, pick_images

SLOTS = {person: 3 + (7 * person) % 11 for person in range(1, 21)}
DONORS = {donor: 2 + (5 * (donor - 100)) % 13 for donor in range(100, 130)}
ORDER = [8, 17, 2, 4, 13, 20, 12, 16, 18, 1, 14, 6, 7, 11, 19, 3, 10, 5, 9, 15]


def test_the_values_of_the_rule() -> None:
    assert chosen_people(SLOTS, 1.0, 0, 1) == ORDER
    pairs = pair_donors(SLOTS, DONORS)
    assert [pairs[person] for person in ORDER[:5]] == [127, 123, 109, 120, 122]
    picks = {person: pick_images(SLOTS[person], DONORS[pairs[person]], 0, 1, person) for person in (8, 17)}
    assert picks[8].tolist() == [1, 3, 2, 5]
    assert picks[17].tolist() == [10, 4, 0, 11, 9, 8, 1, 3, 12, 5, 6, 7]


@pytest.mark.parametrize(("people", "counts"), [(395, [99, 198, 296, 395]), (206, [52, 103, 154, 206])])
def test_a_larger_share_has_the_people_of_a_smaller_one(people: int, counts: list[int]) -> None:
    chosen = [chosen_people(range(people), share, 0, 1) for share in (0.25, 0.5, 0.75, 1.0)]
    assert [len(each) for each in chosen] == counts
    assert all(larger[: len(smaller)] == smaller for smaller, larger in pairwise(chosen))


@pytest.mark.parametrize(("slots", "images"), [(7, 3), (3, 7), (6, 3), (1, 1)])
def test_images_are_repeated_only_after_all_of_them(slots: int, images: int) -> None:
    generator, expected = numpy_generator(5, "unpaired", "images", 2, 9), []
    while len(expected) < slots:
        expected += generator.permutation(images).tolist()
    assert pick_images(slots, images, 5, 2, 9).tolist() == expected[:slots]


def write_people(root: Path, people: int = 6, images: int = 3) -> Path:
    """Write a folder for each person, with person k having k more images than the first."""
    for person in range(people):
        for number in range(images + person):
            write_noise(root / f"p{person}" / f"{number}.png", 70_000 + 100 * person + number)
    return root


def unpaired(tmp_path: Path, share: float, seed: int = 0) -> UnpairedData:
    base = tmp_path / "sysu"
    sysu = Sysu(base if base.exists() else write_sysu(base), expect_counts=False)
    people = tmp_path / "people"
    return UnpairedData(sysu, PeopleFolder(people if people.exists() else write_people(people)), share, seed)


@pytest.mark.parametrize("share", [0.0, 0.34, 0.67, 1.0])
def test_a_table_against_the_rule_image_by_image(tmp_path: Path, share: float) -> None:
    data = unpaired(tmp_path, share)
    base = Sysu(tmp_path / "sysu", expect_counts=False)
    own, split = base.train().visible, data.train()
    table = split.visible
    assert isinstance(table, UnpairedTable)
    np.testing.assert_array_equal(table.cameras, own.cameras)
    np.testing.assert_array_equal(split.infrared.identities, base.train().infrared.identities)
    chosen = chosen_people([1, 2, 10], share, 0, 1)  # the people of the train and val lists
    donor = {1: "p5", 2: "p4", 10: "p3"}  # equal numbers of slots: by identity; donors with the most images first
    for person in (1, 2, 10):
        rows = np.flatnonzero(own.identities == person)
        if person not in chosen:
            assert [table.paths[row] for row in rows] == [own.paths[row] for row in rows]
            assert set(table.identities[rows]) == {person}
            continue
        album = sorted(path.name for path in (tmp_path / "people" / donor[person]).iterdir())
        picks = pick_images(len(rows), len(album), 0, 1, person)
        assert [table.paths[row] for row in rows] == [f"{donor[person]}/{album[pick]}" for pick in picks]
        assert set(table.identities[rows]) == {10_000 + [1, 2, 10].index(person)}
    assert len(table) == len(own)
    assert data.test() is not None
    assert data.test().visible.paths == base.test().visible.paths
    replaced = [table.donors.paths[pick] for pick in table.picks]
    assert data.repeated([1]) == pytest.approx((len(replaced) - len(set(replaced))) / max(1, len(replaced)))


def test_every_fold_has_its_own_people(tmp_path: Path) -> None:
    base = RegDB(write_regdb(tmp_path / "regdb", people=8, folds=2), expect_counts=False)
    data = UnpairedData(base, PeopleFolder(write_people(tmp_path / "people")), 0.5, 0)
    for fold in (1, 2):
        table = data.train(fold).visible
        left = chosen_people(range(4), 0.5, 0, fold)
        assert {int(i) for i in np.unique(table.identities) if i < 10_000} == set(range(4)) - set(left)


def test_seed_share_and_donors_change_the_images_and_the_fingerprint(tmp_path: Path) -> None:
    first = unpaired(tmp_path, 1.0)
    assert unpaired(tmp_path, 1.0, seed=1).train().visible.paths != first.train().visible.paths
    assert unpaired(tmp_path, 1.0).train().visible.paths == first.train().visible.paths
    write_noise(tmp_path / "people/p9/0.png", 3)
    assert unpaired(tmp_path, 1.0).fingerprint != first.fingerprint
    assert first.fingerprint.startswith("unpaired-")


def test_too_few_donors_are_refused(tmp_path: Path) -> None:
    base = Sysu(write_sysu(tmp_path / "sysu"), expect_counts=False)
    data = UnpairedData(base, PeopleFolder(write_people(tmp_path / "few", people=2)), 0.5, 0)
    with pytest.raises(UsageError, match=r"2 people with visible images for 3 training people of fold 1; give"):
        data.train()


def test_donors_that_name_no_person_are_refused_with_the_cause(tmp_path: Path) -> None:
    base = Sysu(write_sysu(tmp_path / "sysu"), expect_counts=False)
    for modality in ("visible", "infrared"):
        for number in range(3):
            write_noise(tmp_path / f"own/{modality}/{number}.png", number)
    with pytest.raises(UsageError, match=r"none of 3 visible images names a person; give a folder for each person"):
        UnpairedData(base, FolderData(tmp_path / "own"), 0.5, 0).train()


def test_the_names_of_market_1501(tmp_path: Path) -> None:
    names = ["0002_c1s1_000451_03.jpg", "0002_c2s1_000001_01.jpg", "0007_c3s3_077419_03.jpg"]
    others = ["-1_c1s1_000001_01.jpg", "0000_c1s1_000002_01.jpg"]  # junk and distractors
    for name in [*names, *others]:
        write_noise(tmp_path / "bounding_box_train" / name, 1)
    for root, place in ((tmp_path, "bounding_box_train/"), (tmp_path / "bounding_box_train", "")):
        table = PeopleFolder(root).train().visible
        assert table.paths == tuple(f"{place}{name}" for name in names)
        assert table.identities.tolist() == [2, 2, 7]
    Image.new("RGB", (8, 8)).save(tmp_path / "bounding_box_train" / "holiday.png")
    with pytest.raises(UsageError, match=r"holiday\.png does not begin with a person and a camera"):
        PeopleFolder(tmp_path)
