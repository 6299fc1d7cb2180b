"""The last lines of a run: files and commands that work when they are pasted."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.leaderboard.records import make_record
from usvi_bench.cli.ending import ending
from usvi_bench.cli.report import parser as report_parser
from usvi_bench.cli.site import parser as site_parser
from usvi_bench.cli.train import experiment_of, parser
from usvi_bench.engine.experiment import Experiment

SETTINGS = {"method.eps": 0.5, "train.lr": "0.1"}
RUN = Experiment("cluster_contrast", "sysu_all", data="synthetic", seed=2, settings=SETTINGS)


@pytest.fixture(autouse=True)
def script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py"])


def lines_of(experiment: Experiment, folder: Path, *others: str) -> list[str]:
    """Return the ending of a run in a folder with further runs."""
    run = folder / "sysu_all" / "mine"
    for each in (run, *(run.with_name(name) for name in others)):
        each.mkdir(parents=True, exist_ok=True)
        (each / "record.json").touch()
    return list(ending(experiment, make_record(experiment.method), [run / "record.json", run / "report" / "report.md"]))


def test_the_first_run_leads_to_a_second_one(tmp_path: Path) -> None:
    record, report, head, *commands = lines_of(replace(RUN, output=tmp_path), tmp_path)
    assert record == f"record: {tmp_path}/sysu_all/mine/record.json"
    assert report == f"report: {tmp_path}/sysu_all/mine/report/report.html"
    assert head == "next (another method, a comparison of all runs, a site of all runs):"
    other, comparison, site = (shlex.split(line)[2:] for line in commands)
    again = experiment_of(parser().parse_args(other))
    assert again == replace(RUN, method="pgm", output=tmp_path, settings={"train.lr": "0.1"})
    assert report_parser().parse_args(comparison[1:]).runs == [str(tmp_path / "sysu_all")]
    assert site_parser().parse_args(site[1:]).runs == tmp_path


def test_no_other_method_is_suggested_in_the_setting_of_a_paper(tmp_path: Path) -> None:
    lines = lines_of(replace(RUN, output=tmp_path, setting="paper"), tmp_path)
    assert lines[2] == "next (a comparison of all runs, a site of all runs):"


def test_a_second_run_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    *_, head, comparison, site = lines_of(RUN, Path("runs"), "yours")
    assert head == "next (a comparison of all runs, a site of all runs):"
    assert comparison.endswith(" report runs/sysu_all --output comparison")
    assert site.endswith(" site")
