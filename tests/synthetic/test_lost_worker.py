"""A rendering process that is killed ends the command with a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from usvi_bench import synthetic
from usvi_bench.cli.main import main
from usvi_bench.core.errors import WorkerError
from usvi_bench.synthetic import ensure, parse, writing


def die(*_: Any) -> None:
    os._exit(9)


def test_a_lost_worker_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_write_batch", die)
    with pytest.raises(WorkerError, match="a process that renders people ended without a result"):
        ensure("sysu", parse("synthetic:size=tiny"), tmp_path, workers=2)
    assert not list(tmp_path.glob("sysu*"))
    monkeypatch.undo()
    assert ensure("sysu", parse("synthetic:size=tiny"), tmp_path, workers=2).is_dir()


def fail(folder: Path, *_: Any) -> None:
    (folder / f"begun-{uuid4()}").touch()
    raise ValueError("no light")


def test_batches_that_wait_are_left_out_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_write_batch", fail)
    batches: list[list[Any]] = [[] for _ in range(200)]
    with pytest.raises(ValueError, match="no light"):
        list(writing.write_images(tmp_path, "sysu", parse("synthetic:size=tiny"), batches, workers=2))
    assert 1 <= len(list(tmp_path.glob("begun-*"))) < 100


def test_the_command_ends_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise WorkerError("a process ended")

    monkeypatch.setattr(synthetic, "ensure", lost)
    words = ["--method", "untrained", "--protocol", "sysu_all", "--data", "synthetic:size=tiny"]
    assert main([*words, "--output", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(": a process ended")
