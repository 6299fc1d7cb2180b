from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.files import write_json
from usvi_bench.core.journal import START, Journal, Mark
from usvi_bench.core.sealed import write_sealed
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
