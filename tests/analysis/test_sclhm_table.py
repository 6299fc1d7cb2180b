"""Table of the readings of SCLHM, from invented records of several people and layouts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd
import pytest

from tests.leaderboard.records import make_record
from usvi_bench.analysis.sclhm_table import SETTINGS, main, reading
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import write_record
from usvi_bench.reports.pages.readings_table import readings_table
from usvi_bench.reports.pages.sources import Sources
from usvi_bench.synthetic.spec import parse

ON = {"sscl": True, "hml": True, "amu": True, "smoothing": 0.3, "association": "nn", "trust": 1.0}
ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "harder": {"smoothing": 0.5},
    "plain, without SSCL": {"sscl": False},
    "plain, without HML": {"hml": False, "association": "mutual"},
    "start": {"sscl": False, "hml": False, "amu": False},
}
SCORES = {  # by row, then by layout and seed of the people
    "plain": {("sysu_all", 100): 0.40, ("sysu_all", 101): 0.50, ("regdb_v2i", 100): 0.33},
    "harder": {("sysu_all", 100): 0.44, ("sysu_all", 101): 0.53},
    "plain, without SSCL": {("sysu_all", 100): 0.42, ("sysu_all", 101): 0.45, ("regdb_v2i", 100): 0.30},
    "plain, without HML": {("sysu_all", 100): 0.35},
    "start": {("sysu_all", 100): 0.31},
}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for row, scores in SCORES.items():
        for (protocol, seed), score in scores.items():
            spec = asdict(parse(f"synthetic:size=small,seed={seed}"))
            data = {"name": "x", "fingerprint": str(spec), "synthetic": {"spec": spec}, "knobs": {}, "description": ""}
            changes: dict[str, Any] = {"dataset": data, "config": {"method": {**ON, **ROWS[row]}}}
            made = {"provenance": {"ablation": f"readings: {row}"}}
            at = score - 0.001 * list(METRICS).index("mAP")
            changes["folds"] = [1] if protocol == "sysu_all" else [1, 2]  # of RegDB's layout only the first is trained
            record = make_record("sclhm_readings", means=[at], protocol=protocol, **changes, **made)
            write_record(tmp_path / "runs" / f"{row}-{protocol}-{seed}" / "record.json", record)
    write_record(tmp_path / "runs" / "other" / "record.json", make_record("pgm"))
    begun = make_record("sclhm_readings", means=[0.9], trials=2)
    write_record(tmp_path / "runs" / "begun" / "record.json", begun)
    return tmp_path / "runs"


def test_gains_are_means_over_people_of_both_layouts(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(runs)]) == 0
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    found = {line[0]: line[1:] for line in lines[2:]}
    assert list(found) == ["harder", "plain", "no module"]

    def gain(row: str, without: str) -> str:
        both = [100 * (SCORES[row][at] - SCORES[without][at]) for at in SCORES[row] if at in SCORES[without]]
        return f"{mean(both):+.1f} ± {stdev(both) / len(both) ** 0.5:.1f}"

    plain = gain("plain", "plain, without SSCL")
    assert found["plain"] == ["3", "45.0", "33.0", plain, "+5.0 (1)", "-"]
    assert found["harder"] == [
        "2",
        "48.5",
        "-",
        gain("harder", "plain, without SSCL"),
        "-",
        "-",
    ]  # without HML it would be smoothed by 0.5
    assert found["no module"] == ["1", "31.0", "-", "-", "-", "-"]


def test_the_page_has_the_table_of_the_written_runs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(runs)])
    printed = capsys.readouterr().out.splitlines()
    with pytest.raises(UsageError, match=r"sclhm_readings\.csv does not exist; make it with"):
        readings_table("t").markdown(Sources(runs))
    main([str(runs), "--csv", str(runs / "sclhm_readings.csv")])
    assert list(pd.read_csv(runs / "sclhm_readings.csv")["people"].unique()) == ["seed=100", "seed=101"]
    assert readings_table("t").markdown(Sources(runs)).splitlines() == printed


def test_settings_of_a_module_do_not_count_without_it() -> None:
    for module, names in SETTINGS.items():
        for name in names:
            assert reading({**ON, name: "other"}) != reading(ON)
            assert reading({**ON, module: False, name: "other"}) == reading({**ON, module: False, name: "third"})
    assert reading({**ON, "eps": 0.4}) != reading(ON)
