from __future__ import annotations

import pytest

from tests.datasets.trees import REGDB_LISTS, write_regdb
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.regdb import RegDB


@pytest.fixture
def root(tmp_path):
    return write_regdb(tmp_path / "RegDB", people=24)


def open_small(root):
    return RegDB(root, expect_counts=False)


def replace_line(root, name, line, text):
    path = root / "idx" / name
    lines = path.read_text().splitlines()
    lines[line] = text
    path.write_text("\n".join(lines))


def test_it_is_registered():
    assert DATASETS.get("regdb") is RegDB


def test_a_fold_holds_the_images_of_its_lists(root):
    data = open_small(root)
    assert data.folds == (1, 2)
    odd, even = set(range(0, 12)), set(range(0, 12))
    assert set(data.train(1).visible.identities) == odd
    assert set(data.test(1).infrared.identities) == even
    assert all(int(path.split("/")[1]) % 2 == 1 for path in data.train(1).infrared.paths)
    assert all(int(path.split("/")[1]) % 2 == 0 for path in data.test(1).visible.paths)
    assert data.train(2).visible.paths == data.test(1).visible.paths
    assert set(data.train(1).visible.cameras) == set(data.train(1).infrared.cameras) == {1}


def test_rows_are_in_path_order_with_the_label_of_their_line(root):
    table = open_small(root).train(1).visible
    listed = dict(line.rsplit(" ", 1) for line in (root / "idx/train_visible_1.txt").read_text().splitlines())
    assert list(table.paths) == sorted(listed)
    assert [str(label) for label in table.identities] == [listed[path] for path in table.paths]
    assert table.paths[0].startswith("Visible/1/")
    assert table.paths[2].startswith("Visible/11/")


def test_blank_lines_and_line_ends_of_windows_are_read(root):
    before = open_small(root).test(1).visible.paths
    path = root / "idx" / "test_visible_1.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert open_small(root).test(1).visible.paths == before


def test_an_unknown_fold_is_refused(root):
    with pytest.raises(UsageError, match="fold 3"):
        open_small(root).train(3)


def test_the_published_counts_are_accepted(tmp_path):
    root = tmp_path / "RegDB"
    for folder in ("Visible", "Thermal"):
        for person in range(412):
            (root / folder / str(person)).mkdir(parents=True)
            for frame in range(10):
                (root / folder / str(person) / f"{frame}.bmp").touch()
    (root / "idx").mkdir()
    for fold in range(1, 11):
        for name in REGDB_LISTS:
            split, modality = name.split("_")
            members = [p for p in range(412) if (p + fold) // 206 % 2 == (split == "test")]
            lines = [
                f"{modality.capitalize()}/{p}/{i}.bmp {label}" for label, p in enumerate(members) for i in range(10)
            ]
            (root / "idx" / f"{name}_{fold}.txt").write_text("\n".join(lines))
    data = RegDB(root)
    assert data.folds == tuple(range(1, 11))
    assert len(data.train(10).visible) == len(data.test(10).infrared) == 2060
    path = root / "idx" / "test_thermal_4.txt"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))
    with pytest.raises(
        UsageError,
        match=r"fold 4 test: infrared 2059 of 2060 \(1 fewer\), infrared: label 0 has 9 images; each must have 10\n",
    ) as caught:
        RegDB(root)
    assert str(caught.value).count("\n") < 3


def test_own_images_need_the_flag(root):
    with pytest.raises(UsageError, match="fold 1 train: people 12 of 206") as caught:
        RegDB(root)
    assert str(caught.value).count("\n") == 5  # three parts, the number of others, and the remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Visible/1/male_front_v_0.bmp", "line 2"),
        ("Visible/1/male_front_v_0.bmp one", "line 2"),
        ("Visible/1/male_front_v_0.bmp 0", "more than once"),
        ("Visible/1/none.bmp 0", r"no image Visible/1/none\.bmp"),
        ("Visible/2/male_front_v_0.bmp 0", "trains and tests on the images of Visible/2"),
    ],
)
def test_a_bad_line_is_named(root, text, message):
    replace_line(root, "train_visible_1.txt", 1, text)
    with pytest.raises(UsageError, match=message):
        open_small(root)


def test_a_missing_list_is_named(root):
    (root / "idx" / "test_thermal_2.txt").unlink()
    with pytest.raises(UsageError, match=r"no file .*test_thermal_2\.txt"):
        open_small(root)


def test_an_empty_list_is_named(root):
    (root / "idx" / "test_thermal_2.txt").write_text("\n")
    with pytest.raises(UsageError, match=r"test_thermal_2\.txt lists no image"):
        open_small(root)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(
        UsageError, match=r"no folder Visible: restore it; no folder Thermal: restore it; no folder idx: .*; and 1 more"
    ):
        open_small(tmp_path)


def test_the_fingerprint_covers_lists_and_images(root):
    seen = {open_small(root).fingerprint}
    image = root / "Thermal" / "24" / "male_front_t_1.bmp"
    image.write_bytes(image.read_bytes() + b"x")
    seen.add(open_small(root).fingerprint)
    replace_line(root, "train_visible_1.txt", 0, "Visible/1/male_front_v_0.bmp 5")
    seen.add(open_small(root).fingerprint)
    assert len(seen) == 3
