"""Short form of ``make faults``: a sample of the cases of each group, and checks of the machine itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.case import BAD, GOOD
from tests.faults.disk import DEAD, Disk
from tests.faults.world import ROOT

SAMPLES = {"stops": 2, "flips": 3, "full": 1, "processes:cache": 1, "processes:ranks": 2, "sabotage": 6}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Try a sample of each group; return the lines of the log by name."""
    folder = tmp_path_factory.mktemp("faults")
    samples = [f"{name}={count}" for name, count in SAMPLES.items()]
    command = [sys.executable, "-m", "tests.faults", "--only", *SAMPLES, "--sample", *samples]
    found = subprocess.run(
        [*command, "--output", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    (log,) = folder.glob("cases-*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines, found.stderr
    assert found.returncode == any(line["verdict"] in BAD for line in lines), found.stdout + found.stderr
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("part", SAMPLES)
def test_a_fault_ends_in_a_clear_refusal_or_the_same_result(part: str, log: dict[str, dict[str, Any]]) -> None:
    lines = [line for name, line in log.items() if name.startswith(part)]
    assert len(lines) >= SAMPLES[part]
    assert [line for line in lines if line["verdict"] not in GOOD] == []


def child(disk: Disk, call: Any) -> int:
    """Run a function with a failing disk in a forked child; return its exit status."""
    number = os.fork()
    if number == 0:
        status = 99
        try:
            disk.install()
            call()
            status = 0
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def write_and_rename(folder: Path) -> None:
    with (folder / "new").open("wb") as file:
        file.write(b"12345678")
        file.flush()
        os.fsync(file.fileno())
    (folder / "new").replace(folder / "file")


@pytest.mark.parametrize(
    ("at", "how", "status", "content"),
    [
        (None, "before", 0, {"file": b"12345678"}),
        (0, "before", DEAD, {"new": b""}),
        (0, "half", DEAD, {"new": b"1234"}),
        (0, "full", 28, {"new": b"1234"}),
        (1, "before", DEAD, {"new": b"12345678"}),
        (2, "before", DEAD, {"new": b"12345678"}),
        (3, "before", 0, {"file": b"12345678"}),
    ],
)
def test_the_disk_fails_at_its_point(
    at: int | None, how: str, status: int, content: dict[str, bytes], tmp_path: Path
) -> None:
    assert child(Disk(tmp_path, at, how), lambda: write_and_rename(tmp_path)) == status
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content


def test_other_folders_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    assert child(Disk(tmp_path / "watched", 0), lambda: write_and_rename(tmp_path)) == 0
