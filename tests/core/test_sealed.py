"""Files with a checksum: every flipped bit and every cut is noticed."""

from __future__ import annotations

import fcntl
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from usvi_bench.core.errors import DamagedFileError
from usvi_bench.core.files import parse_json, remove_temporaries, temporary_folder, write_atomically
from usvi_bench.core.journal import START, Journal
from usvi_bench.core.sealed import check_seal, read_sealed_json, write_sealed, write_sealed_json


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_usual_readers_accept_sealed_files(tmp_path: Path) -> None:
    write_sealed(tmp_path / "a.pt", lambda file: torch.save({"w": torch.arange(3)}, file))
    write_sealed(tmp_path / "a.npz", lambda file: np.savez(file, w=np.arange(3)))
    write_sealed(tmp_path / "a.npy", lambda file: np.save(file, np.arange(3)))
    assert torch.load(tmp_path / "a.pt", weights_only=True)["w"].tolist() == [0, 1, 2]
    assert np.load(tmp_path / "a.npz")["w"].tolist() == [0, 1, 2]
    assert np.load(tmp_path / "a.npy", mmap_mode="r").tolist() == [0, 1, 2]
    for name in ("a.pt", "a.npz", "a.npy"):
        check_seal(tmp_path / name, "")


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_sealed(path, lambda file: file.write(b"some content"))
    content = path.read_bytes()
    damaged = [flipped(content, bit) for bit in range(8 * len(content))]
    for changed in [*damaged, *(content[:size] for size in range(len(content)))]:
        path.write_bytes(changed)
        with pytest.raises(DamagedFileError, match=r"file is .*; restore it"):
            check_seal(path, "restore it")


def test_a_large_file_is_checked_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_sealed(path, lambda file: file.write(bytes(3 * 2**20 + 5)))
    check_seal(path, "")
    path.write_bytes(flipped(path.read_bytes(), 2**24))
    with pytest.raises(DamagedFileError):
        check_seal(path, "")


def test_every_flipped_bit_of_a_json_object_is_noticed(tmp_path: Path) -> None:
    path, content = tmp_path / "file.json", {"a": [1, 0.1, "é"], "b": None}
    write_sealed_json(path, content)
    assert read_sealed_json(path, "") == content
    whole, noticed = path.read_bytes(), 0
    for bit in range(8 * len(whole)):
        path.write_bytes(flipped(whole, bit))
        try:
            found = read_sealed_json(path, "restore it")
        except DamagedFileError:
            noticed += 1
        else:
            assert found == content, bit  # white space between values
    assert noticed > 7 * len(whole)


def filled(path: Path) -> Journal:
    journal = Journal(path)
    for epoch in range(4):
        journal.append({"epoch": epoch, "losses": {"visible": 0.1 / (epoch + 1)}, "note": "é"})
    return journal


def test_every_flipped_bit_of_a_journal_is_noticed(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal.jsonl")
    entries, mark, whole = journal.read(), journal.mark, journal.path.read_bytes()
    assert [entry["epoch"] for entry in entries] == [0, 1, 2, 3]
    for bit in range(8 * len(whole)):
        journal.path.write_bytes(flipped(whole, bit))
        with pytest.raises(DamagedFileError, match=r"journal\.jsonl .*--overwrite"):
            Journal(journal.path).read_until(mark)


def test_missing_and_exchanged_lines_are_noticed(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal.jsonl")
    mark, lines = journal.mark, journal.path.read_bytes().splitlines(keepends=True)
    for order in ([1, 0, 2, 3], [0, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 1, 2, 3], []):
        journal.path.write_bytes(b"".join(lines[i] for i in order))
        with pytest.raises(DamagedFileError):
            Journal(journal.path).cut(mark)
    journal.path.unlink()
    with pytest.raises(DamagedFileError, match="lacks lines"):
        Journal(journal.path).cut(mark)


def test_a_finished_journal_is_read_to_its_mark(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path / "journal.jsonl"), Journal(tmp_path / "other.jsonl")
    journal.replace([{"epoch": i} for i in range(3)])
    other.replace([{"epoch": 9 - i} for i in range(3)])
    end = journal.mark
    assert Journal(journal.path).read_all(end) == [{"epoch": i} for i in range(3)]
    with pytest.raises(DamagedFileError, match="lacks lines"):
        other.read_all(end)
    journal.append({"epoch": 3})
    with pytest.raises(DamagedFileError, match="has lines that its run did not write"):
        journal.read_all(end)
    journal.path.unlink()
    with pytest.raises(DamagedFileError, match="lacks lines"):
        Journal(journal.path).read_all(end)


def test_a_line_cut_anywhere_is_replaced_by_the_next(tmp_path: Path) -> None:
    whole = filled(tmp_path / "whole.jsonl").path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for size in range(last, len(whole)):
        journal = Journal(tmp_path / "journal.jsonl")
        journal.path.write_bytes(whole[:size])
        assert len(journal.read()) == 3
        journal.append({"epoch": 9})
        assert [entry["epoch"] for entry in Journal(journal.path).read()] == [0, 1, 2, 9]


def test_a_journal_is_cut_to_nothing_and_replaced(tmp_path: Path) -> None:
    journal = filled(tmp_path / "journal.jsonl")
    journal.cut(START)
    assert journal.read() == []
    journal.replace([{"epoch": 7}])
    journal.append({"epoch": 8})
    assert Journal(journal.path).read() == [{"epoch": 7}, {"epoch": 8}]


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        '{"a": 1, "a": 1}',
        "[" * 100_000,
        "{",
        "1e999",
        "1" * 400,
        "-" + "9" * 20,
        "[" * 65 + "]" * 65,
    ],
)
def test_json_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_json_of_numbers_and_levels_within_the_limits_is_read() -> None:
    assert parse_json(f"[{2**63}, {-(2**63)}, 1e308]") == [2**63, -(2**63), 1e308]
    assert parse_json("[" * 64 + "]" * 64) == parse_json("[" * 64 + "]" * 64)
    assert parse_json("3") == 3


def test_json_with_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_sealed_json(tmp_path / "file.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_only_files_of_dead_writers_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".record.json.00000000.partial").write_text("half")

    def write(file: object) -> None:
        remove_temporaries(tmp_path)
        (own,) = tmp_path.glob(".record.json.*")
        assert own.name != ".record.json.00000000.partial"

    write_atomically(tmp_path / "record.json", write)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_the_next_write_of_a_file_removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    for name in (".a.json.00000000.partial", ".a.jsonb.00000000.partial", ".b.json.00000000.partial"):
        (tmp_path / name).write_text("half")
    with (tmp_path / ".a.json.11111111.partial").open("x") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        write_sealed_json(tmp_path / "a.json", {})
    kept = [".a.json.11111111.partial", ".a.jsonb.00000000.partial", ".b.json.00000000.partial", "a.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_a_temporary_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, removed = fcntl.flock, []

    def flock(file: Any, how: int) -> None:
        if not removed:
            removed.extend(tmp_path.glob(".*.partial"))
            remove_temporaries(tmp_path)
        real(file, how)

    monkeypatch.setattr("usvi_bench.core.files.fcntl.flock", flock)
    write_atomically(tmp_path / "file", lambda file: file.write(b"content"))
    assert removed
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"content"}


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_running_one_stays(tmp_path: Path) -> None:
    (tmp_path / ".site-dead" / "sub").mkdir(parents=True)
    with temporary_folder(tmp_path, ".site-") as one, temporary_folder(tmp_path, ".site-") as two:
        assert one != two
        assert {path.name for path in tmp_path.iterdir()} == {one.name, two.name}
    assert list(tmp_path.iterdir()) == []


def test_files_have_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        write_sealed_json(tmp_path / "file.json", {})
    finally:
        os.umask(former)
    assert (tmp_path / "file.json").stat().st_mode & 0o777 == 0o600


def test_random_objects_survive(tmp_path: Path) -> None:
    generator = random.Random(0)
    for _ in range(50):
        values = [generator.random() * 10 ** generator.randint(-300, 300), None, generator.randint(-9, 9)]
        content = {str(generator.random()): generator.choice(values)}
        write_sealed_json(tmp_path / "file.json", content)
        assert read_sealed_json(tmp_path / "file.json", "") == content
        assert "digest" in json.loads((tmp_path / "file.json").read_text())


def test_a_pipe_named_like_a_temporary_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".a.json.00000000.partial")
    (tmp_path / ".a.json.00000001.partial").symlink_to("/dev/zero")
    remove_temporaries(tmp_path)
    write_sealed_json(tmp_path / "a.json", {"a": 1})
    assert (tmp_path / "a.json").is_file()
