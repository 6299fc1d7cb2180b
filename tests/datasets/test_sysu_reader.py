from __future__ import annotations

import shutil
from dataclasses import asdict

import numpy as np
import pytest

from tests.datasets.trees import write_id_lists, write_note, write_sysu
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.lists import read_ids
from usvi_bench.datasets.sysu import Sysu
from usvi_bench.synthetic.spec import SyntheticSpec


@pytest.fixture
def root(tmp_path):
    return write_sysu(tmp_path / "SYSU-MM01")


def open_small(root):
    return Sysu(root, expect_counts=False)


def test_it_is_registered():
    assert DATASETS.get("sysu") is Sysu


def test_training_joins_train_and_val_and_leaves_out_unlisted_people(root):
    split = open_small(root).train()
    expected = sorted(
        (f"cam{camera}/{identity:04d}/{frame:04d}.jpg", identity, camera)
        for camera in (1, 2, 4, 5)
        for identity in (1, 2, 10)
        for frame in (1, 2)
    )
    table = split.visible
    assert list(zip(table.paths, table.identities, table.cameras, strict=True)) == expected
    assert set(split.infrared.cameras) == {3, 6}
    assert len(split.infrared) == 2 * 3 * 2
    assert table.identities.dtype == table.cameras.dtype == np.int64
    assert (split.visible.modality, split.infrared.modality) == ("visible", "infrared")


def test_a_person_whom_a_camera_never_saw_has_no_images_there(root):
    table = open_small(root).test().visible
    assert set(table.cameras[table.identities == 25]) == {2, 4, 5}
    assert set(table.cameras[table.identities == 3]) == {1, 2, 4, 5}


def test_paths_are_sorted_and_exist(root):
    table = open_small(root).test().infrared
    assert list(table.paths) == sorted(table.paths)
    assert all((table.root / path).is_file() for path in table.paths)


def test_files_that_are_no_images_are_ignored(root):
    before = open_small(root).test().visible.paths
    (root / "cam2" / "0003" / "Thumbs.db").touch()
    (root / "cam2" / "0003" / "._0001.jpg").touch()
    assert open_small(root).test().visible.paths == before


def test_the_published_counts_are_accepted(published):
    data = Sysu(published)
    train, test = data.train(), data.test()
    assert (len(train.visible), len(train.infrared)) == (22_258, 11_909)
    assert (len(test.visible), len(test.infrared)) == (6_775, 3_803)
    assert len(set(train.visible.identities)) == 395
    assert data.folds == (1,)


def test_wrong_counts_name_cameras_numbers_and_people(published):
    moved = [published / "cam3" / "0400", published / "cam6" / "0434"]
    frames = [len(list(folder.iterdir())) for folder in moved]
    for folder in moved:
        folder.rename(folder.with_name("away"))
    try:
        with pytest.raises(UsageError) as caught:
            Sysu(published)
    finally:
        for folder in moved:
            folder.with_name("away").rename(folder)
    text = str(caught.value)
    assert "train+val: people 394 of 395 (1 fewer)" in text
    assert f"cam3 {7909 - frames[0]} of 7909 ({frames[0]} fewer)" in text
    assert "no infrared images of id 400" in text
    assert f"test: infrared {3803 - frames[1]} of 3803" in text
    assert "data.check_counts=false" in text
    assert text.count("\n") == 3  # a line for each part


def test_too_many_images_are_wrong_too(published):
    extra = published / "cam1" / "0434" / "9999.jpg"
    extra.touch()
    with pytest.raises(UsageError, match=r"cam1 1375 of 1374 \(1 more\)"):
        Sysu(published)
    extra.unlink()


def test_own_images_need_the_flag(root):
    with pytest.raises(UsageError, match="is not the published SYSU-MM01"):
        Sysu(root)
    assert open_small(root).synthetic is None


def test_a_generated_tree_is_marked_and_has_its_own_counts(root):
    number = len(open_small(root).tree.images)
    note = write_note(root, images=number)
    assert Sysu(root).synthetic == note
    (root / "cam1" / "0001" / "0001.jpg").unlink()
    with pytest.raises(UsageError, match=rf"not the generated .*images {number - 1} of {number} \(1 fewer\)"):
        Sysu(root)


def test_the_knobs_of_a_generated_tree_are_those_off_their_defaults(root):
    assert open_small(root).knobs == {}
    for spec, knobs in (
        ({}, {}),
        (asdict(SyntheticSpec(size="tiny", seed=3, height=288)), {}),
        (asdict(SyntheticSpec(pose=0.5, mismatch=1.0)), {"pose": 0.5, "mismatch": 1.0}),
        ({"occlusion": 1, "unknown": 0.5}, {"occlusion": 1.0}),
    ):
        write_note(root, spec=spec)
        assert open_small(root).knobs == knobs


def test_a_broken_note_is_named(root):
    (root / "synthetic.json").write_text("{")
    with pytest.raises(UsageError, match=r"synthetic\.json is not valid JSON"):
        Sysu(root)


def test_a_missing_camera_folder_is_named(root):
    shutil.rmtree(root / "cam3")
    with pytest.raises(UsageError, match="no folder cam3"):
        open_small(root)


def test_a_missing_id_list_is_named(root):
    (root / "exp" / "val_id.txt").unlink()
    with pytest.raises(UsageError, match=r"no file .*val_id\.txt"):
        open_small(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "found nothing"), (b"1,two,3", "found 'two'"), (b"\xff\xfe\x00", "as text"), (b"1;2", "found '1;2'")],
)
def test_an_unreadable_id_list_is_named(root, content, message):
    (root / "exp" / "test_id.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        open_small(root)
    assert "test_id.txt" in str(caught.value)
    assert str(caught.value).count("\n") < 3


@pytest.mark.parametrize("text", ["\ufeff7, 3,12,\n", "7\n3\r\n12\n", "0007,3\n\n,12"])
def test_ids_are_separated_by_commas_or_line_ends(tmp_path, text):
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    assert read_ids(tmp_path / "list.txt") == (3, 7, 12)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("9,9,10", "id 9 occurs twice"),
        ("9,09", "id 9 occurs twice"),
        ("1" * 5000, "found '1111"),
        ("٣", "found '٣'"),
        ("-1", "found '-1'"),
        ("1;2", "found '1;2'"),
        ("1 2", "found '1 2'"),
    ],
)
def test_other_spellings_of_ids_are_refused(tmp_path, text, fault):
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=fault):
        read_ids(tmp_path / "list.txt")


def test_a_person_on_both_lists_is_a_leak(root):
    write_id_lists(root, {"test": (2, 3)})
    with pytest.raises(UsageError, match="id 2 is on the test list and on a training list"):
        open_small(root)


def test_a_split_without_infrared_images_is_refused(root):
    for camera in ("cam3", "cam6"):
        for identity in ("0003", "0025"):
            shutil.rmtree(root / camera / identity)
    with pytest.raises(UsageError, match="no infrared image of the test people"):
        open_small(root)


def test_the_fingerprint_follows_content_and_not_place(root, tmp_path):
    first = open_small(root).fingerprint
    copied = shutil.copytree(root, tmp_path / "elsewhere")
    assert open_small(copied).fingerprint == first
    image = copied / "cam1" / "0001" / "0001.jpg"
    image.write_bytes(image.read_bytes() + b"x")
    changed = open_small(copied).fingerprint
    assert changed != first
    write_id_lists(copied, {"val": (10, 98)})
    assert open_small(copied).fingerprint not in (first, changed)


def test_unlisted_images_do_not_change_the_fingerprint(root):
    first = open_small(root).fingerprint
    (root / "cam1" / "0099" / "0001.jpg").write_bytes(b"")
    assert open_small(root).fingerprint == first


def test_a_second_open_reads_no_image(root, monkeypatch):
    first = open_small(root).fingerprint

    def refuse(path):
        raise AssertionError(f"read {path} again")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert open_small(root).fingerprint == first


def test_a_generated_tree_is_marked_in_its_fingerprint(root):
    real = open_small(root).fingerprint
    fingerprints = {real}
    for seed in (0, 1):
        write_note(root, spec={"seed": seed})
        fingerprint = open_small(root).fingerprint
        assert fingerprint.startswith("synthetic-")
        fingerprints.add(fingerprint)
    assert len(fingerprints) == 3
