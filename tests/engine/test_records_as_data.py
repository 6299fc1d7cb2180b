"""A record is data: nothing in it becomes a path, an option of a command, or code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.records import make_record
from usvi_bench import run
from usvi_bench.analysis.part_quality import reload_run
from usvi_bench.analysis.repeat_records import repeat
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, write_record
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.read_settings import read_file
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.reports.site.runs import command_of

HOSTILE = ["../x", "/etc/passwd", "a/b", "..", "C:\\x", "a\0b", "--import=evil.py", "x.py/", "a\nb", "", "-x", "~/x"]


def changed(kind: str, word: str) -> Record:
    record = make_record("pgm", 3)
    synthetic = {**record.result.dataset, "synthetic": {"spec": {"size": word}}}
    changes: dict[str, Any] = {
        "method": {"method": word},
        "protocol": {"protocol": word},
        "setting": {"setting": word},
        "weights": {"start_weights": {"source": word, "sha256": None}},
        "data": {"dataset": synthetic},
    }
    provenance = {
        "schedule": {"overrides": {"settings": {}, "schedule": word}},
        "name of a setting": {"overrides": {"settings": {word: 1}, "schedule": None}},
        "plug-in": {"plugins": [{"name": word, "sha256": None, "origin": "import", "parts": []}]},
    }
    if kind in changes:
        return replace(record, result=replace(record.result, **changes[kind]))
    return replace(record, provenance={**record.provenance, **provenance[kind]})


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize(
    "kind", ["method", "protocol", "setting", "weights", "data", "schedule", "name of a setting", "plug-in"]
)
def test_a_name_in_a_record_is_neither_a_path_nor_an_option(kind: str, word: str) -> None:
    with pytest.raises(UsageError, match=r"the record's .* is not"):
        recorded_experiment(changed(kind, word))
    assert command_of(changed(kind, word)).startswith("# no command: ")


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], "a\nb"])
def test_a_value_in_a_record_is_plain(value: Any) -> None:
    record = make_record("pgm", 3, provenance={"overrides": {"settings": {"method.k1": value}, "schedule": None}})
    with pytest.raises(UsageError, match=r"method\.k1 is not a number, a word or a list of them"):
        recorded_experiment(record)


def test_a_record_runs_neither_a_schedule_nor_a_plugin(tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    for record in (changed("schedule", str(trap)), changed("schedule", "trap.py")):
        with pytest.raises(UsageError, match="schedule is not a plain name"):
            repeat(record, tmp_path / "out")
    with pytest.raises(RuntimeError, match="used plug-ins"):
        repeat(changed("plug-in", "trap.py"), tmp_path / "out")
    with pytest.raises(RuntimeError, match="not shipped"):
        repeat(changed("weights", "mine.pth"), tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_a_run_with_an_own_schedule_is_repeated_from_its_record(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[data]\nheight = 64\nwidth = 32\n[encoder]\nname = "small"\n[method]\nwarmup_epochs = "none"\n')
    made = run(
        "untrained",
        "sysu_all",
        data="synthetic:size=tiny",
        schedule=str(mine),
        settings={"engine.threads": 1},
        weights="random",
        device="cpu",
        output=tmp_path / "runs",
        verbose=False,
    )
    assert "mine" not in json.dumps(made.provenance["overrides"])
    assert made.provenance["overrides"]["schedule"] is None
    mine.unlink()
    assert repeat(made, tmp_path / "again").result == made.result


@pytest.mark.parametrize(
    "name", ["../schedules/quick", "/quick", "..", "", "quick.yaml", "a\0b", "C:\\quick", "ablations"]
)
def test_the_name_of_a_schedule_stays_in_its_folder(name: str) -> None:
    with pytest.raises(UsageError, match="--schedule"):
        load_config("pgm", "sysu_all", profile="sysu", schedule=name)


@pytest.mark.parametrize(
    ("ending", "text"), [(".toml", "[train]\nepochs = 7\n"), (".json", '{"train": {"epochs": 7}}')]
)
def test_a_schedule_is_data(tmp_path: Path, ending: str, text: str) -> None:
    path = tmp_path / f"mine{ending}"
    path.write_text(text)
    assert load_config("pgm", "sysu_all", profile="sysu", schedule=str(path)).train.epochs == 7
    with pytest.raises(UsageError, match="no such file or folder; did you mean"):
        load_config("pgm", "sysu_all", profile="sysu", schedule=str(tmp_path / f"mne{ending}"))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.toml", "train = ", "TOMLDecodeError"),
        ("a.toml", "[train]\nlr = nan\n", ""),
        ("a.json", "[1]", "expected a JSON object"),
        ("a.json", '{"a": 1, "a": 2}', "occurs twice"),
        ("a.json", '{"train": {"lr": NaN}}', "not a JSON number"),
        ("a.py", "import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("a.py", "1/0", "ZeroDivisionError"),
        ("a.py", "filename = 'x'\n", "'filename' is reserved"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError) as found:
        load_config("pgm", "sysu_all", profile="sysu", schedule=str(path))
    assert reason in str(found.value)
    assert "\n" not in str(found.value)
    if reason:
        assert str(path) in str(found.value)
    else:
        assert read_file(path)


def test_the_analysis_of_a_run_does_not_import_what_its_record_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.py").write_text("open('ran', 'w')\n")
    (tmp_path / "runs" / "stages").mkdir(parents=True)
    folder = tmp_path / "runs" / "sysu_all" / "run"
    write_record(folder / "record.json", changed("plug-in", "trap.py"))
    with pytest.raises(UsageError):
        reload_run(folder)
    assert not (tmp_path / "ran").exists()
