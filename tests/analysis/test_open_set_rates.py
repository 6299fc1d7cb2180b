"""Table of open-set rates: the values are those of a run's report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from tests.reports.fake_run import make_run
from usvi_bench.analysis import open_set
from usvi_bench.analysis.open_set import main
from usvi_bench.reports import open_set_section
from usvi_bench.reports.report import write_report


def test_rates_are_those_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(open_set.ONE_IN, "verification", 10)
    run = make_run(tmp_path / "runs" / "whole", pictures=False)
    (make_run(tmp_path / "runs" / "scored", pictures=False, lean=True) / "evaluation.npz").unlink()
    file = tmp_path / "open_set.csv"
    assert main([str(tmp_path / "runs"), "--csv", str(file)]) == 0
    (row,) = pd.read_csv(file, keep_default_na=False).to_dict("records")
    assert (row["method"], row["protocol"], row["fold"]) == ("sclhm", "sysu_all", 1)
    write_report(run)
    shown = json.loads((run / "report" / "report.json").read_text())["data"]["open_set"]
    for kind, names in (("verification", ("FAR", "TAR")), ("identification", ("FPIR", "DIR", "found"))):
        (rates,) = (each["values"] for each in shown[kind] if each["one_in"] == 10)
        for name in names:
            assert row[name] == pytest.approx(100 * rates[name][0], abs=0.006)


def test_too_few_people_have_no_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(open_set.ONE_IN, "identification", 1000)
    make_run(tmp_path / "run", pictures=False)
    assert main([str(tmp_path)]) == 0
    (row,) = pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False).to_dict("records")
    assert row["TAR"] == 100
    assert [row[name] for name in ("FPIR", "DIR", "found")] == ["", "", ""]


def test_a_run_without_rates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_set_section, "LARGEST", 5)
    run = make_run(tmp_path / "run", pictures=False, lean=True)
    with pytest.raises(
        SystemExit, match=f"{run}: more than 5 pairs of a query and a gallery image; leave this run out"
    ):
        main([str(tmp_path)])


def test_a_folder_without_features_is_an_error(tmp_path: Path) -> None:
    (make_run(tmp_path / "run", pictures=False, lean=True) / "evaluation.npz").unlink()
    with pytest.raises(SystemExit, match="no finished runs with results for this table"):
        main([str(tmp_path)])
