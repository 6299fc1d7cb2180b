"""Difficulty of development people, with invented scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.leaderboard.records import make_record
from usvi_bench.analysis import difficulty
from usvi_bench.core.record import write_record

SCORES = {"untrained": 30.0, "cluster_contrast": 33.0, "pgm": 36.0, "pclhd": 37.0, "dmic": 38.0, "mmm": 35.0,
          "supervised": 70.0, "HOG": 20.0}  # fmt: skip


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Replace data and trainings; returns the list of trainings."""
    asked: list[tuple[str, str, int]] = []

    def runner(protocol: str, method: str, people: int, folder: Path) -> None:
        asked.append((protocol, method, people))
        run = folder / protocol / f"{method}-seed0-12345678"
        write_record(run / "record.json", make_record(method, 0, [SCORES[method] / 100]))

    monkeypatch.setattr(difficulty, "train", runner)
    monkeypatch.setattr(difficulty, "open_dataset", lambda *_, **__: (None, ""))
    monkeypatch.setattr(difficulty.training_free, "measure", lambda *_: {"HOG": (20.0, 0.0)})
    return asked


def test_runs_are_not_repeated_and_figures_are_kept(
    invented: list[tuple[str, str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, csv = tmp_path / "out", tmp_path / "figures.csv"
    command = ["--output", str(out), "--people", "101", "--csv", str(csv), "--methods", "pgm", "dmic"]
    assert difficulty.main(command, difficulty.train) == 0
    first = capsys.readouterr().out
    assert len(invented) == 8
    assert ("regdb_v2i", "pgm", 101) in invented
    assert difficulty.main(command, difficulty.train) == 0
    assert len(invented) == 8
    assert capsys.readouterr().out == first
    assert difficulty.main(["--table", str(csv)]) == 0
    assert capsys.readouterr().out == first
    assert "at least 4 methods are 5 above `untrained`" in first


def test_people_that_are_not_for_development_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        difficulty.main(["--people", "0"])
    assert "development people have the seeds 100, 101, 102" in capsys.readouterr().err
