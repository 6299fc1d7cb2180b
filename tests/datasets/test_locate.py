"""Data trees one level off, and folders of arrays that other code bases have prepared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.datasets.trees import write_regdb, write_sysu
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets import locate
from usvi_bench.datasets.check import check_folder, readers
from usvi_bench.datasets.locate import explain_folder
from usvi_bench.datasets.open import find_any_data, find_data


def refusal(path: Path, kind: str = "sysu") -> str:
    """Return the hint of the message about a folder; that of ``--check-data`` has the same one."""
    with pytest.raises(UsageError) as found:
        find_data(kind, str(path))
    with pytest.raises(UsageError) as checked:
        check_folder(path)
    hint = str(checked.value).splitlines()[-1].strip()
    assert hint in str(found.value)
    return hint


@pytest.mark.parametrize("name", ["SYSU-MM01", "sysu", "unpacked here"])
def test_a_tree_one_folder_below_is_read_under_any_name(tmp_path: Path, name: str) -> None:
    root = write_sysu(tmp_path / name)
    (tmp_path / "other").mkdir()
    assert find_data("sysu", str(tmp_path)).root == root
    assert find_any_data(str(tmp_path), "--train-data").root == root


def test_the_usual_name_comes_first_and_of_two_others_none_is_chosen(tmp_path: Path) -> None:
    first, second = write_sysu(tmp_path / "a"), write_sysu(tmp_path / "b")
    assert refusal(tmp_path) == f"{first} holds SYSU-MM01: give that folder; {second} holds SYSU-MM01: give that folder"
    usual = write_sysu(tmp_path / "SYSU-MM01")
    assert find_data("sysu", str(tmp_path)).root == usual


@pytest.mark.parametrize(("inner", "kind"), [("cam1", "sysu"), ("cam1/0003", "sysu"), ("idx", "regdb")])
def test_a_folder_inside_a_tree_names_the_tree(tmp_path: Path, inner: str, kind: str) -> None:
    root = {"sysu": write_sysu, "regdb": write_regdb}[kind](tmp_path / "mine")
    assert (root / inner).is_dir()
    title = {"sysu": "SYSU-MM01", "regdb": "RegDB"}[kind]
    assert refusal(root / inner, kind) == f"it is inside {title}: give {root}"


@pytest.mark.parametrize("place", ["a/SYSU-MM01", "a/b/mine"])
def test_a_tree_two_or_three_folders_below_is_named(tmp_path: Path, place: str) -> None:
    root = write_sysu(tmp_path / place)
    assert refusal(tmp_path) == f"{root} holds SYSU-MM01: give that folder"


def test_trees_behind_links_or_deeper_are_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sysu(tmp_path / "a/b/c/d")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a/b/c/d")
    assert not explain_folder(tmp_path, readers())
    write_sysu(tmp_path / "x/y")
    assert explain_folder(tmp_path, readers())
    monkeypatch.setattr(locate, "SCANNED", 1)
    assert not explain_folder(tmp_path, readers())


def test_a_mistyped_folder_suggests_a_near_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_sysu(tmp_path / "pictures" / "SYSU-MM01")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for given, near in (("../picture", "../pictures"), (f"{root.parent}/SYSU-MM1", str(root))):
        with pytest.raises(UsageError, match=f"no such folder; did you mean {near}\\?; give"):
            find_data("sysu", given)
        with pytest.raises(UsageError, match=f"no such folder; did you mean {near}\\?; give"):
            check_folder(Path(given))
        with pytest.raises(UsageError, match=f"no such folder or table; did you mean {near}\\?"):
            find_data("folder", given)
    with pytest.raises(UsageError, match=f"it is inside SYSU-MM01: give {root}"):
        find_data("sysu", "../pictures/SYSU-MM01/cam1")


def test_own_images_one_folder_below_are_named(tmp_path: Path) -> None:
    for modality in ("visible", "infrared"):
        (tmp_path / "mine" / modality).mkdir(parents=True)
    with pytest.raises(UsageError, match=f"{tmp_path / 'mine'} holds own images: give that folder"):
        find_data("folder", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "what"),
    [("train_rgb_resized_img.npy", "holds resized images and labels that another"), ("gallery.npy", "holds arrays")],
)
def test_arrays_of_other_code_bases_are_named_as_what_they_are(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).touch()
    hint = refusal(tmp_path)
    assert f"{name} {what}" in hint
    assert "give the folder of the original data set" in hint
    write_sysu(tmp_path)
    assert find_data("sysu", str(tmp_path)).root == tmp_path, "original images beside the arrays are read"
