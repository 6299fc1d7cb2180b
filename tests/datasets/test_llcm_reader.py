from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from tests.datasets.trees import write_llcm, write_regdb
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.check import check_folder, readers
from usvi_bench.datasets.image_sizes import describe_sizes
from usvi_bench.datasets.llcm import CAMERAS, COUNTS, LLCM, camera_of, pairs_of
from usvi_bench.datasets.open import find_data
from usvi_bench.datasets.tree import Part, Split, Tree, table_of


@pytest.fixture
def root(tmp_path):
    return write_llcm(tmp_path / "LLCM")


def open_small(root):
    return LLCM(root, expect_counts=False)


def test_it_is_registered():
    assert DATASETS.get("llcm") is LLCM


def test_training_rows_have_the_label_of_their_line_and_the_camera_of_their_name(root):
    split = open_small(root).train()
    assert open_small(root).folds == (1,)
    for table, word in ((split.visible, "vis"), (split.infrared, "nir")):
        listed = dict(line.rsplit(" ", 1) for line in (root / f"idx/train_{word}.txt").read_text().splitlines())
        assert list(table.paths) == sorted(listed)
        assert [str(label) for label in table.identities] == [listed[path] for path in table.paths]
        assert [f"_c{camera:02d}_" in path for path, camera in zip(table.paths, table.cameras, strict=True)]
        assert set(table.cameras.tolist()) == {1, 4}
        assert table.identities.dtype == table.cameras.dtype == np.int64
    assert (split.visible.modality, split.infrared.modality) == ("visible", "infrared")


def test_test_rows_are_those_of_the_listed_people_by_folder(root):
    split = open_small(root).test()
    for table, word in ((split.visible, "vis"), (split.infrared, "nir")):
        expected = sorted(
            path.relative_to(root).as_posix()
            for path in root.glob(f"test_{word}/*/*/*.jpg")
            if "/0099/" not in str(path)
        )
        assert list(table.paths) == expected
        assert [f"test_{word}/cam{c}/{i:04d}" for c, i in zip(table.cameras, table.identities, strict=True)] == [
            path.rpartition("/")[0] for path in expected
        ]
        assert set(table.cameras.tolist()) == set(CAMERAS[table.modality])
    assert (25, 1) not in pairs_of(split.visible)
    assert (25, 1) in pairs_of(split.infrared)


def test_folders_above_the_tree_may_be_named_like_cameras(tmp_path):
    """The public code takes the camera from the first "cam" of the whole path, and codes of others from the first c."""
    root = write_llcm(tmp_path / "cam7" / "c3_camera")
    assert set(open_small(root).test().infrared.cameras.tolist()) == set(CAMERAS["infrared"])
    assert set(open_small(root).train().visible.cameras.tolist()) == {1, 4}


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("0001_c04_s1.jpg", 4),
        ("0001_c4_s1.jpg", 4),
        ("1_c009.jpg", 9),
        ("0001_c04c05.jpg", 4),
        ("c2/0001_c04_s1.jpg", 4),
        ("0001_c00_s1.jpg", None),
        ("0001_c10_s1.jpg", None),
        ("0001_c45.jpg", None),
        ("0001_C04.jpg", None),
        ("a0001_c04.jpg", None),
        ("_c04.jpg", None),
        ("0001_c04/0001.jpg", None),
        ("0001.jpg", None),
    ],
)
def test_the_camera_is_read_from_the_name_of_the_file(name, camera):
    assert camera_of(f"vis/0001/{name}") == camera


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vis/0001/0001_c01_s1.jpg", "not an image path, a blank and a label"),
        ("vis/0001/0001_c01_s1.jpg x", "not an image path, a blank and a label"),
        ("vis/0001/0001.jpg 0", r"train_vis\.txt line 2: vis/0001/0001\.jpg has no camera in its name"),
        ("test_vis/cam1/0003/0003_c01_s1.jpg 0", "line 2: .* is a test image"),
        ("./test_nir/cam1/0003/0003_c01_s1.jpg 0", "line 2: .* is a test image"),
        ("../0001_c01_s1.jpg 0", "not a path below the root"),
        ("/0001_c01_s1.jpg 0", "not a path below the root"),
        ("vis/0001/0001_c01_s1.jpg 0", "more than once"),
        ("nir/0001/0001_c01_s1.jpg 0", "is on both training lists"),
        ("vis/0001/0001_c01_s9.jpg 0", "no image vis/0001/0001_c01_s9.jpg, which idx/train_vis.txt names: restore it"),
    ],
)
def test_a_bad_line_is_named(root, line, message):
    path = root / "idx" / "train_vis.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]))
    with pytest.raises(UsageError, match=message) as caught:
        open_small(root)
    assert str(caught.value).count("\n") < 3


def test_test_people_are_one_line(root):
    path = root / "idx" / "test_id.txt"
    path.write_text("3,25\n\n")
    assert open_small(root).tree.parts["test"].listed == (3, 25)
    path.write_text("3\n25\n")
    with pytest.raises(UsageError, match=r"test_id\.txt has 2 lines, .* restore it as one line"):
        open_small(root)
    path.write_text("3;25\n")
    with pytest.raises(UsageError, match="found '3;25' instead of numbers"):
        open_small(root)


@pytest.mark.parametrize("gone", ["test_vis/cam3", "test_nir/cam9", "idx/train_nir.txt", "idx/test_id.txt"])
def test_what_is_missing_is_named(root, gone):
    shutil.rmtree(root / gone) if (root / gone).is_dir() else (root / gone).unlink()
    with pytest.raises(UsageError, match=f"no (folder|file) .*{gone}[:;] restore it"):
        open_small(root)


def test_infrared_camera_3_is_not_missing(root):
    assert not (root / "test_nir" / "cam3").exists()
    open_small(root)


def test_a_modality_without_test_images_is_refused(root):
    (root / "idx" / "test_id.txt").write_text("77\n")
    with pytest.raises(UsageError, match=r"no visible image of the people of idx/test_id\.txt"):
        open_small(root)


def numbered(modality, people, images):
    return table_of([(f"{i:05d}", i % people, 1) for i in range(images)], modality, None)


def test_the_published_counts_are_accepted_and_others_are_not():
    parts = {
        name: Part(Split(numbered("visible", people, seen), numbered("infrared", people, dark)), ())
        for name, (people, seen, dark) in COUNTS.items()
    }
    assert LLCM.differences(Tree(parts, (), ()), None) == ()
    assert sum(map(len, (part.split.visible for part in parts.values()))) == 25_626
    assert sum(map(len, (part.split.infrared for part in parts.values()))) == 21_141
    parts["test"] = Part(Split(numbered("visible", 351, 8679), parts["test"].split.infrared), ())
    assert LLCM.differences(Tree(parts, (), ()), None) == ("test: visible 8679 of 8680 (1 fewer)",)


def test_own_images_need_the_flag(root):
    with pytest.raises(UsageError, match=r"not the published LLCM:\n  train: people 4 of 713") as caught:
        LLCM(root)
    assert str(caught.value).count("\n") == 3  # a line for each part


def test_the_fingerprint_covers_lists_and_images_of_listed_people(root):
    seen = {open_small(root).fingerprint}
    (root / "test_nir/cam1/0099/0099_c01_s1.jpg").write_bytes(b"")
    assert open_small(root).fingerprint in seen
    for path in ("test_nir/cam1/0003/0003_c01_s1.jpg", "nir/0001/0001_c01_s1.jpg", "idx/test_id.txt"):
        (root / path).write_bytes((root / path).read_bytes() + b"\n")
        seen.add(open_small(root).fingerprint)
    assert len(seen) == 4


def row(text, name):
    line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return [int(word) for word in line.removeprefix(name).split()]


def test_check_data_counts_by_camera_and_pair_and_describes_sizes(root):
    text = check_folder(root).text
    assert "LLCM layout, real images" in text
    assert row(text, "train") == [4, 16, 16]
    assert row(text, "test") == [2, 34, 32]
    assert row(text, "train visible") == row(text, "train infrared") == [8, 8, 0, 0, 8, 0, 0, 0, 0, 0]
    assert row(text, "test visible") == [17, 2, 4, 4, 4, 4, 4, 4, 4, 4]
    assert row(text, "test infrared") == [16, 4, 4, 0, 4, 4, 4, 4, 4, 4]
    assert "test infrared images: width 12 to 12, height 24 to 24; most often 12x24 (32)" in text
    assert "train: people 4 of 713 (709 fewer), visible 16 of 16946" in text
    assert not check_folder(root).complete


def test_images_that_do_not_exist_are_not_counted(root):
    (root / "vis/0001/0001_c01_s1.jpg").unlink()
    text = check_folder(root).text
    assert row(text, "train") == [4, 15, 16]
    assert "no image vis/0001/0001_c01_s1.jpg, which idx/train_vis.txt names: restore it" in text


def test_sizes_name_the_range_and_unreadable_files(root):
    (root / "vis/0001/0001_c01_s1.jpg").write_text("no image")
    paths = ["vis/0001/0001_c01_s1.jpg", "vis/0001/0001_c01_s2.jpg"]
    text = describe_sizes("my", root, paths)
    assert text == (
        "my images: width 12 to 12, height 24 to 24; most often 12x24 (1); "
        "1 without a readable header, first vis/0001/0001_c01_s1.jpg"
    )
    assert describe_sizes("my", root, []) == "no size of my images is known"


def test_each_layout_is_recognised_by_its_own_reader_only(root, tmp_path):
    assert [reader.name for reader in readers() if reader.recognises(root)] == ["llcm"]
    other = write_regdb(tmp_path / "RegDB")
    assert [reader.name for reader in readers() if reader.recognises(other)] == ["regdb"]
    with pytest.raises(UsageError, match=re.escape("it holds LLCM, not RegDB")):
        find_data("regdb", str(root))
