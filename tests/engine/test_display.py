"""Lines, bars and tables that a run prints."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.leaderboard.records import HEADLINE, make_record, make_score
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.types import PseudoLabels
from usvi_bench.engine.display import Display
from usvi_bench.engine.plan import StagePlan
from usvi_bench.methods.base import MethodConfig

LABELS = PseudoLabels(visible=torch.tensor([0, 1, -1]), infrared=torch.tensor([0, 0]))


class FourLosses:
    """Stand-in for an optimiser, with the mean losses of four losses."""

    def means(self) -> dict[str, float]:
        return dict.fromkeys(("visible_contrast", "infrared_contrast", "cross_contrast", "neighbour_consistency"), 1.0)


def plan(folder: Path, method: str, position: int = 0, epochs: int = 2) -> StagePlan:
    return StagePlan("k", folder / method, method, MethodConfig(), position, epochs, 1, 0, {})


def test_a_stage_is_named_with_its_place_in_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans = [plan(tmp_path, "cluster_contrast", 0, 6), plan(tmp_path, "sclhm", 1, 1)]
    display = Display()
    display.begin_run("sclhm", plans, 50)
    for each in plans:
        display.begin_stage(each, 50)
        display.end_stage()
    assert capsys.readouterr().out.splitlines() == [
        "sclhm, stage 1 of 2: dual cluster contrast (shared with cluster_contrast), 6 epochs of 50 steps",
        "sclhm, stage 2 of 2: soft smooth contrast, 1 epoch of 50 steps",
    ]


def test_a_single_stage_needs_no_number_and_several_folds_have_theirs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    display, only = Display(), plan(tmp_path, "pgm")
    for plans in ([only], [only, replace(only, fold=2)]):
        display.begin_run("pgm", plans, 1)
        display.begin_stage(plans[-1], 1)
        display.end_stage()
    assert capsys.readouterr().out.splitlines() == [
        "pgm: progressive graph matching, 2 epochs of 1 step",
        "pgm: progressive graph matching, fold 2, 2 epochs of 1 step",
    ]


def test_the_bar_counts_the_steps_of_all_stages_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished, first, second = (plan(tmp_path, name, i) for i, name in enumerate(("adca", "hil", "pgm")))
    finished.folder.mkdir()
    (finished.folder / "finished.json").touch()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # another test may have imported it
    display = Display()
    for total in (40, 60):
        display.begin_run("pgm", [finished, first, second], 10)
        display.begin_stage(first, 10, done=1)
        bar, _ = display._bars.tasks  # type: ignore[union-attr]
        assert (bar.completed, bar.total) == (10, total)
        for step in range(10):
            display.step(first, 1, step, FourLosses(), LABELS)  # type: ignore[arg-type]
        assert bar.completed == 20
        display.end_stage()
        display.begin_stage(second, 10)
        assert display._bars.tasks[0].completed == 20  # type: ignore[union-attr]
        display.end_stage()
        assert not display._bars.tasks  # type: ignore[union-attr]
        (finished.folder / "finished.json").unlink(missing_ok=True)


@pytest.mark.parametrize("losses", [1, 4, 12])
def test_an_epoch_is_one_line_of_at_most_120_characters(losses: int, capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    counts = {"visible": 1234, "infrared": 1234}
    entry = {"epoch": 8, "epochs": 100, "images": counts, "outliers": counts, "clusters": counts}
    names = [f"infrared_consistency_{number}" for number in range(losses)]
    display.end_epoch({**entry, "losses": dict.fromkeys(names, 1.0), "seconds": {"embed": 1.0, "train": 1000.0}})
    (line,) = capsys.readouterr().out.splitlines()
    assert len(line) <= 120
    assert line.startswith("  epoch   9/100  inf")
    assert line.endswith("clusters 1234+1234  outliers 100%  1001.0 s")
    assert (" …" in line) == (losses > 1)


def result_lines(capsys: pytest.CaptureFixture[str], record: Any) -> list[str]:
    Display().result(record)
    return capsys.readouterr().out.splitlines()


def test_a_result_marks_the_headline_and_shows_chance(capsys: pytest.CaptureFixture[str]) -> None:
    lines = result_lines(capsys, make_record("adca"))
    assert lines[0] == "adca on sysu_all, seed 0 (percent, last epoch)"
    assert sum(" * " in line for line in lines) == 1
    assert any("student * " in line for line in lines)
    assert any("chance " in line for line in lines)
    assert lines[-1] == "* headline of the leaderboard"
    assert not any("start" in line for line in lines), "the encoder before training was not scored"


def test_the_start_is_beside_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    display.start = dict.fromkeys(METRICS, 0.125)
    display.result(make_record("adca"))
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if "start " in line and "12.50" in line]
    assert lines.index(row) == [" chance " in line for line in lines].index(True) - 1
    assert lines[-1] == "* headline of the leaderboard; start: the encoder before training"


def test_teacher_and_student_are_explained_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    scores = [make_score(0.3), make_score(0.4, model="teacher")]
    headline = {**HEADLINE, "model": "teacher"}
    lines = result_lines(capsys, make_record("sclhm", headline=headline, scores=scores))
    assert any("teacher * " in line for line in lines)
    assert any("student   " in line for line in lines)
    assert lines[-1] == "student: the trained encoder; teacher: the moving average of its weights"


def test_weights_that_were_not_trained_are_not_called_student(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(result_lines(capsys, make_record("untrained", provenance={"global_batch": None})))
    assert "starting weights * " in text
    assert "nothing trained" in text
    assert "student" not in text
