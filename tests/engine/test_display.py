"""Lines, bars and tables that a run prints."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.text import Text

from tests.leaderboard.records import HEADLINE, make_record, make_score
from usvi_bench.core.types import PseudoLabels
from usvi_bench.engine.display import Display
from usvi_bench.engine.plan import StagePlan
from usvi_bench.methods.base import MethodConfig

LABELS = PseudoLabels(visible=torch.tensor([0, 1, -1]), infrared=torch.tensor([0, 0]))


class Losses:
    """Stand-in for an optimiser, with the mean losses of four losses."""

    def means(self) -> dict[str, float]:
        return dict.fromkeys(("visible_contrast", "infrared_contrast", "cross_contrast", "neighbour_consistency"), 1.0)


def plan(folder: Path, method: str, position: int = 0, epochs: int = 2) -> StagePlan:
    return StagePlan("k", folder / method, method, MethodConfig(), position, epochs, 1, 0, {})


def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> Display:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # another test may have imported it
    monkeypatch.setenv("COLUMNS", str(width))
    return Display()


def test_a_stage_is_named_with_its_place_in_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans = [plan(tmp_path, "cluster_contrast", 0, 6), plan(tmp_path, "sclhm", 1, 1)]
    display = Display()
    display.begin_run("sclhm", plans, 50)
    for each in plans:
        display.begin_stage(each, 50)
        display.end_stage()
    assert capsys.readouterr().out.splitlines() == [
        "stage 1 of 2 of sclhm: cluster_contrast, fold 1, 6 epochs of 50 steps",
        "stage 2 of 2 of sclhm: sclhm, fold 1, 1 epoch of 50 steps",
    ]


def test_a_single_stage_needs_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    display, only = Display(), plan(tmp_path, "pgm")
    display.begin_run("pgm", [only], 1)
    display.begin_stage(only, 1)
    assert capsys.readouterr().out == "training: pgm, fold 1, 2 epochs of 1 step\n"


def test_a_second_bar_counts_the_steps_of_all_stages_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, first, second = (plan(tmp_path, name, i) for i, name in enumerate(("done", "first", "second")))
    finished.folder.mkdir()
    (finished.folder / "finished.json").touch()
    display = terminal(monkeypatch, 120)
    display.begin_run("second", [finished, first, second], 10)
    display.begin_stage(first, 10, done=1)
    stage, everything = display._bar.tasks  # type: ignore[union-attr]
    assert (stage.completed, stage.total, everything.completed, everything.total) == (10, 20, 10, 40)
    for step in range(10):
        display.step(first, 1, step, Losses(), LABELS)  # type: ignore[arg-type]
    assert (stage.completed, everything.completed) == (20, 20)
    display.end_stage()
    display.begin_stage(second, 10)
    assert [task.completed for task in display._bar.tasks] == [0, 20]  # type: ignore[union-attr]
    display.end_stage()


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_last_stage_has_one_bar_unless_finished_ones_are_trained_again(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, last = plan(tmp_path, "first", 0), plan(tmp_path, "last", 1)
    finished.folder.mkdir()
    (finished.folder / "finished.json").touch()
    display = terminal(monkeypatch, 120)
    display.begin_run("last", [finished, last], 10, overwrite)
    display.begin_stage(last, 10)
    assert len(display._bar.tasks) == 1 + overwrite  # type: ignore[union-attr]
    display.end_stage()


def test_a_narrow_terminal_keeps_the_count_and_the_remaining_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    display, only = terminal(monkeypatch, 80), plan(tmp_path, "pgm", epochs=5)
    display.begin_run("pgm", [only], 20)
    display.begin_stage(only, 20)
    for step in range(11):
        display.step(only, 0, step, Losses(), LABELS)  # type: ignore[arg-type]
    with display.console.capture() as shown:
        display.console.print(display._bar.get_renderable())  # type: ignore[union-attr]
    display.end_stage()
    lines = [line.rstrip() for line in Text.from_ansi(shown.get()).plain.splitlines()]
    (bar,) = [line for line in lines if "11/100" in line]
    assert re.search(r" 11/100 (\d|-):(\d\d|--):(\d\d|--) epoch 1/5  visible", bar), "the count and the remaining time"
    assert len(bar) <= 80


def result_lines(capsys: pytest.CaptureFixture[str], record: Any) -> list[str]:
    Display().result(record)
    return capsys.readouterr().out.splitlines()


def test_a_result_marks_the_headline_and_shows_chance(capsys: pytest.CaptureFixture[str]) -> None:
    lines = result_lines(capsys, make_record("adca"))
    assert lines[0] == "adca on sysu_all, seed 0 (percent, last epoch)"
    assert sum(" * " in line for line in lines) == 1
    assert any("student * " in line for line in lines)
    assert any("chance " in line for line in lines)
    assert lines[-1] == "* headline, which tables show"


def test_teacher_and_student_are_explained_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    scores = [make_score(0.3), make_score(0.4, model="teacher")]
    headline = {**HEADLINE, "model": "teacher"}
    lines = result_lines(capsys, make_record("sclhm", headline=headline, scores=scores))
    assert any("teacher * " in line for line in lines)
    assert any("student   " in line for line in lines)
    assert "; student: the trained encoder; teacher: the moving average" in lines[-1]


def test_weights_that_were_not_trained_are_not_called_student(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(result_lines(capsys, make_record("untrained", provenance={"global_batch": None})))
    assert "starting weights * " in text
    assert "nothing trained" in text
    assert "student" not in text
