"""Pictures outside of a data set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.pictures import read_folder, read_paths


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_is_read_with_the_folders_below_it_in_the_order_of_paths(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    touch(folder / "b.jpg", folder / "a" / "c" / "x.PNG", folder / "a.bmp", folder / "c.tiff", folder / "notes.txt")
    touch(folder / ".hidden" / "y.jpg", tmp_path / "outside" / "z.jpg")
    (folder / "link").symlink_to(tmp_path / "outside")
    table = read_folder(folder, "infrared")
    assert (table.paths, table.root, table.modality) == (("a.bmp", "a/c/x.PNG", "b.jpg", "c.tiff"), folder, "infrared")
    assert {*table.identities.tolist(), *table.cameras.tolist()} == {-1}


def test_paths_may_be_files_and_folders(tmp_path: Path) -> None:
    touch(tmp_path / "one.jpg", tmp_path / "more" / "two.jpg")
    tables = read_paths([tmp_path / "one.jpg", tmp_path / "more"], "visible")
    assert [table.paths for table in tables] == [("one.jpg",), ("two.jpg",)]


@pytest.mark.parametrize("name", ["nowhere", "empty", "a\0b", "x" * 5000, "queue"])
def test_other_paths_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "queue")
    with pytest.raises(UsageError, match="give"):
        read_paths([tmp_path / name], "visible")


def test_a_folder_whose_name_cannot_be_printed_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a\x1b[2J" / "x.jpg")
    with pytest.raises(UsageError, match="rename"):
        read_folder(tmp_path, "visible")
