from __future__ import annotations

import json
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from usvi_bench.core.errors import DamagedFileError, StorageError, UsageError
from usvi_bench.core.files import is_locked, locked, read_json, write_atomically, write_json
from usvi_bench.core.journal import START, Journal, Mark
from usvi_bench.core.paths import is_file, is_folder
from usvi_bench.core.sealed import check_seal, write_sealed
from usvi_bench.engine import checkpoint as checkpoints
from usvi_bench.engine.checkpoint import Checkpoint


@pytest.fixture
def small_files() -> Iterator[None]:
    """Limit files to 2 KiB, which has the effect of a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, former)


def saved(epochs: int = 1, size: int = 4) -> Checkpoint:
    return Checkpoint(
        "key", "sclhm", 1, "data", epochs, Mark(7, "chain"), {"student": {"w": torch.arange(float(size))}}
    )


def test_json_is_equal_for_equal_content(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    write_json(tmp_path / "b.json", {"a": "é", "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"old": 1})
    with pytest.raises(StorageError, match=r"record\.json.*--resume"):
        write_json(path, {"new": "x" * 10_000})
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_earlier_checkpoints(tmp_path: Path, small_files: None) -> None:
    checkpoints.save(tmp_path, saved(1))
    with pytest.raises(StorageError, match=r"epoch_0002\.pt: File too large; .* \(what was saved is intact\)"):
        checkpoints.save(tmp_path, saved(2, size=10_000))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_0001.pt"]
    assert checkpoints.load(tmp_path / "epoch_0001.pt").epochs == 1


def test_a_folder_that_was_removed_is_the_named_cause(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal(folder / "journal.jsonl")
    journal.append({"epoch": 0})
    shutil.rmtree(folder)
    with pytest.raises(StorageError, match="its folder was removed while it was in use: run the command again"):
        journal.append({"epoch": 1})


def test_an_error_of_another_cause_is_no_failed_write(tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError, match=r"^$"):
        write_atomically(tmp_path / "file", fail)
    assert not list(tmp_path.iterdir())


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_json(tmp_path / "file" / "record.json", {})


def test_the_last_two_checkpoints_are_kept_and_the_newest_found(tmp_path: Path) -> None:
    for epochs in range(1, 12):
        checkpoints.save(tmp_path, saved(epochs))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0010.pt", "epoch_0011.pt"]
    path = checkpoints.latest(tmp_path)
    assert path is not None
    assert checkpoints.load(path).epochs == 11


def test_a_checkpoint_of_another_fold_method_or_data_set_is_refused(tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path, saved())
    loaded = checkpoints.load(path)
    checkpoints.check_belongs(loaded, path, fold=1, method="sclhm", data="data")
    for name, value in (("fold", 2), ("method", "hil"), ("data", "other")):
        with pytest.raises(UsageError, match=f"made with {name}=.*this run has {name}={value}"):
            checkpoints.check_belongs(loaded, path, **{name: value})


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    write_sealed(tmp_path / "epoch_0001.pt", lambda file: file.write(b"not a checkpoint"))
    with pytest.raises(UsageError, match="not a checkpoint"):
        checkpoints.load(tmp_path / "epoch_0001.pt")


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    content = {"format": 2, "models": Path}  # a class is not plain data
    write_sealed(tmp_path / "epoch_0001.pt", lambda file: torch.save(content, file))
    with pytest.raises(UsageError, match="not a checkpoint"):
        checkpoints.load(tmp_path / "epoch_0001.pt")


def test_a_torn_journal_is_cut_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    assert journal.mark == START
    journal.append({"epoch": 0})
    mark = journal.mark
    journal.append({"epoch": 1})
    with journal.path.open("a") as file:
        file.write('{"epoch": 2, "torn')
    journal.cut(mark)
    assert journal.read() == [{"epoch": 0}]


def test_a_journal_on_a_full_disk_raises(tmp_path: Path, small_files: None) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(StorageError, match=r"journal\.jsonl"):
        journal.append({"text": "x" * 5000})


def test_checkpoints_are_ordered_by_number_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "epoch_zzzz.pt").write_text("not a checkpoint")
    for epochs in (9998, 9999, 10000, 10001):
        checkpoints.save(tmp_path, saved(epochs))
        path = checkpoints.latest(tmp_path)
        assert path is not None
        assert checkpoints.load(path).epochs == epochs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_10000.pt", "epoch_10001.pt", "epoch_zzzz.pt"]


def test_a_checkpoint_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path, saved())
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 97):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"epoch_0001\.pt is .*--overwrite"):
            checkpoints.load(path)


def test_a_lock_follows_no_link_and_keeps_the_content(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("content")
    link.symlink_to(target)
    with pytest.raises(StorageError, match="cannot write"), locked(link, wait=False):
        pass
    with locked(target, wait=False), pytest.raises(BlockingIOError), locked(target, wait=False):
        pass
    assert target.read_text() == "content"


def test_file_and_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = list[bool]()
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(stat.S_ISDIR(os.fstat(number).st_mode)))
    write_json(tmp_path / "record.json", {})
    assert synced == [False, True]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_only_files_are_read(tmp_path: Path, make) -> None:
    path = tmp_path / "x"
    make(path)
    with pytest.raises(OSError, match="is not a file"):
        read_json(path)
    with pytest.raises(DamagedFileError, match="is not a file; repeat"):
        check_seal(path, "repeat")
    with pytest.raises(DamagedFileError, match="is not a file"):
        Journal(path).read()
    assert not is_file(path)


def test_kinds_of_paths_are_answers_and_not_errors(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for name in ("loop", "absent", "x" * 5000, "a\0b", "file/below"):
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
    assert is_file(tmp_path / "file")
    assert is_folder(tmp_path)


def test_a_lock_file_of_others_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="Not a regular file"):
        is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "none")
