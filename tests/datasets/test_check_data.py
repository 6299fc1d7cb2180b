from __future__ import annotations

import shutil

import pytest

from tests.datasets.trees import write_note, write_regdb, write_sysu
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.check import NOT_DECODED, check_folder
from usvi_bench.datasets.fingerprint import content_hash
from usvi_bench.datasets.sysu import Sysu


def describe_images(root):
    """Describe a tree as generated, with the digest of its images."""
    tree = Sysu.load(root)
    write_note(root, images=len(tree.images), bytes=content_hash(root, tree.lists, tree.images).images)


def row(text, name):
    """Read the numbers of a table row."""
    line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return [int(word) for word in line.removeprefix(name).split()]


def test_sysu_counts_listed_people_only(tmp_path):
    text = check_folder(write_sysu(tmp_path / "SYSU-MM01")).text
    assert "SYSU-MM01 layout, real images" in text
    header = next(line for line in text.splitlines() if line.startswith("split"))
    assert header.split() == ["split", "people", "visible", "infrared", *(f"cam{c}" for c in range(1, 7))]
    assert row(text, "train") == [2, 16, 8, 4, 4, 4, 4, 4, 4]
    assert row(text, "val") == [1, 8, 4, 2, 2, 2, 2, 2, 2]
    assert row(text, "train+val") == [3, 24, 12, 6, 6, 6, 6, 6, 6]
    assert row(text, "test") == [2, 14, 8, 2, 4, 4, 4, 4, 4]
    assert "differs from the published counts" in text
    assert "test: people 2 of 96 (94 fewer)" in text


def test_the_published_data_set_is_complete(published):
    text = check_folder(published).text
    assert row(text, "train") == [296, 20284, 9929, 4721, 5753, 5929, 4821, 4989, 4000]
    assert text.endswith(f"complete: all counts are the published ones\n\n{NOT_DECODED}")


def test_an_incomplete_tree_is_described_and_not_refused(tmp_path):
    root = write_sysu(tmp_path / "SYSU-MM01")
    shutil.rmtree(root / "cam6")
    (root / "exp" / "val_id.txt").write_text("x")
    (root / "synthetic.json").write_text("{")
    text = check_folder(root).text
    assert "no folder cam6" in text
    assert "val_id.txt" in text
    assert "not valid JSON" in text
    assert row(text, "test")[-1] == 0


def test_an_almost_empty_tree_is_described(tmp_path):
    (tmp_path / "cam1").mkdir()
    assert "no folder cam2" in check_folder(tmp_path).text
    (tmp_path / "regdb" / "Visible").mkdir(parents=True)
    text = check_folder(tmp_path / "regdb").text
    assert "no split" in text
    assert "no folder Thermal" in text


def test_regdb_has_a_row_for_every_fold_and_split(tmp_path):
    text = check_folder(write_regdb(tmp_path / "RegDB")).text
    assert "RegDB layout" in text
    assert row(text, "fold 1 train") == row(text, "fold 2 test") == [2, 4, 4]
    assert "people 2 of 206" in text


def test_images_on_lists_that_do_not_exist_are_not_counted(tmp_path):
    root = write_regdb(tmp_path / "RegDB")
    (root / "Thermal" / "1" / "male_front_t_0.bmp").unlink()
    text = check_folder(root).text
    assert row(text, "fold 1 train") == row(text, "fold 2 test") == [2, 4, 3]
    assert row(text, "fold 1 test") == row(text, "fold 2 train") == [2, 4, 4]
    assert "no image Thermal/1/male_front_t_0.bmp, which a list names: restore it" in text
    assert "infrared: label 0 has 1 images, 1 has 2 images; each must have 10" in text


def test_missing_folders_and_images_name_the_remedy(tmp_path):
    root = write_sysu(tmp_path / "SYSU-MM01")
    shutil.rmtree(root / "cam4")
    assert "  no folder cam4: restore it" in check_folder(root).text.splitlines()
    (root / "cam4").mkdir()
    for camera in (3, 6):
        shutil.rmtree(root / f"cam{camera}" / "0003")
        shutil.rmtree(root / f"cam{camera}" / "0025")
    remedy = "  no infrared image of the test people: restore their folders below cam1 to cam6"
    assert remedy in check_folder(root).text.splitlines()


def test_long_lists_are_cut(tmp_path):
    root = write_regdb(tmp_path / "RegDB", people=24)
    shutil.rmtree(root / "Thermal")
    text = check_folder(root).text
    assert "and 29 more" in text  # 48 images and the folder itself, of which 20 are shown


def test_a_generated_tree_is_called_synthetic(tmp_path):
    root = write_sysu(tmp_path / "any")
    describe_images(root)
    assert "synthetic people" in check_folder(root).text
    assert check_folder(root).text.endswith("complete: all counts are the generated ones")
    (root / "cam6" / "0003" / "0001.jpg").unlink()
    assert "images 57 of 58 (1 fewer)" in check_folder(root).text


def test_a_folder_without_data_lists_the_landmarks(tmp_path):
    write_regdb(tmp_path / "first")
    write_regdb(tmp_path / "second")
    with pytest.raises(UsageError, match="holds no known data set") as found:
        check_folder(tmp_path)
    text = str(found.value)
    assert "SYSU-MM01: cam1" in text
    assert f"{tmp_path / 'second'} holds RegDB: give that folder" in text


def test_trees_one_folder_below_are_described(tmp_path):
    write_regdb(tmp_path / "RegDB")
    write_sysu(tmp_path / "pictures")
    text = check_folder(tmp_path).text
    assert f"{tmp_path / 'RegDB'}: RegDB layout" in text
    assert f"{tmp_path / 'pictures'}: SYSU-MM01 layout" in text


def test_a_wrong_path_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="this is a file; give the folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(UsageError, match="no such folder"):
        check_folder(tmp_path / "none")


def test_the_exit_status_is_0_only_if_a_run_accepts_the_folder(tmp_path, published, capsys):
    def status(path):
        try:
            return main(["--check-data", str(path)])
        except SystemExit as error:
            return error.code

    assert status(published) == 0
    assert status("/etc") == 2
    assert "holds no known data set" in capsys.readouterr().err
    assert status(write_sysu(tmp_path / "SYSU-MM01")) == 1  # other counts than the published ones
    assert "differs from the published counts" in capsys.readouterr().out
    assert status(tmp_path / "none") == 2
    assert "no such folder; give the folder of a data set" in capsys.readouterr().err


def test_control_characters_of_a_path_are_escaped(tmp_path, capsys):
    root = write_sysu(tmp_path / "a\x1b[2J")
    with pytest.raises(SystemExit):
        main(["--check-data", str(root)])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"a\x1b[2J: SYSU-MM01 layout" in out


def test_changed_images_of_a_generated_tree_are_noticed(tmp_path, capsys):
    root = write_sysu(tmp_path / "tree")
    describe_images(root)
    assert main(["--check-data", str(root)]) == 0
    (root / Sysu.load(root).images[0]).write_bytes(b"")
    with pytest.raises(SystemExit, match="1"):
        main(["--check-data", str(root)])
    assert "the images are not those that were generated" in capsys.readouterr().out
