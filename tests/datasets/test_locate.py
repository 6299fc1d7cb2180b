"""Data trees one level off, and folders of arrays that other code bases have prepared."""

from __future__ import annotations

from pathlib import Path

import pytest
from trees import write_regdb, write_sysu

from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.check import check_folder
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
