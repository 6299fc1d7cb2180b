"""The ending of ``make run`` in README: its block, and what it must agree with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.leaderboard.records import HEADLINE, make_record, make_score, with_metric
from usvi_bench.cli.ending import ending
from usvi_bench.core import options
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.engine.display import START, Display
from usvi_bench.engine.experiment import Experiment
from usvi_bench.reports.pages.ending import BLOCK, TITLE, replace_ending
from usvi_bench.synthetic import GENERATOR_VERSIONS

README = Path(__file__).resolve().parents[2] / "README.md"
REMEDY = "run 'make ending', which scores 'make run' again and replaces the block"


def test_the_ending_is_of_the_present_people() -> None:
    (found,) = BLOCK.finditer(README.read_text())
    assert int(found["version"]) == GENERATOR_VERSIONS["sysu"], REMEDY


def test_the_ending_is_what_a_run_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = BLOCK.finditer(README.read_text())
    lines = found["text"].splitlines()
    (record,) = [Path(line.removeprefix("record: ")) for line in lines if line.startswith("record: ")]
    rows = [line.replace(" *", "").split() for line in lines if line.split()[-1].replace(".", "").isdigit()]
    scores = {name: dict(zip(METRICS, (float(value) / 100 for value in values), strict=True)) for name, *values in rows}
    assert list(scores) == ["teacher", "student", START, "chance"]
    monkeypatch.chdir(tmp_path)
    record.parent.mkdir(parents=True)
    record.touch()
    monkeypatch.setattr(sys, "argv", ["run.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setattr(options.shutil, "which", {}.get)
    made = make_record(
        "sclhm",
        headline={**HEADLINE, "model": "teacher"},
        scores=[with_metric(make_score(0, model=model), **scores[model]) for model in ("teacher", "student")],
        chance=scores["chance"],
    )
    display = Display()
    display.start = scores[START]
    display.result(made)
    run = Experiment("sclhm", "sysu_all", data="synthetic")
    for line in ending(run, made, [record, record.parent / "report" / "report.md"]):
        display.print(line)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == lines, REMEDY


def test_the_last_lines_of_an_output_replace_the_block() -> None:
    page = README.read_text()
    output = f"reading\n  epoch 1/1\n{TITLE}\n  teacher *  1.00  \nrecord: a\nnext (a site):\n  run.py site\n"
    filled = replace_ending(page, output)
    (found,) = BLOCK.finditer(filled)
    assert found["text"] == f"{TITLE}\n  teacher *  1.00\nrecord: a\nnext (a site):\n  run.py site\n"
    assert BLOCK.sub("", filled) == BLOCK.sub("", page)
    with pytest.raises(UsageError, match="give the output of make run"):
        replace_ending(page, "interrupted\n")
    with pytest.raises(UsageError, match="0 blocks"):
        replace_ending("# empty", output)
