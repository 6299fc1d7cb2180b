"""Python interface: three lines from images to a score."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import usvi_bench
from usvi_bench.api.training import _RUNNING
from usvi_bench.core.record import write_record

QUICK = {
    "train.epochs": 1,
    "train.iterations": 2,
    "train.visible_clusters": 2,
    "train.infrared_clusters": 2,
    "method.k1": 6,
    "method.eps": 0.5,
    "encoder.width": 8,
    "engine.threads": 1,
}


def test_a_run_returns_the_record_that_it_writes(
    tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = usvi_bench.run("pgm", "sysu_all", tiny_people["sysu"], settings=QUICK, output=tmp_path, verbose=False)
    assert capsys.readouterr().out == ""
    (path,) = tmp_path.glob("sysu_all/*/record.json")
    assert usvi_bench.read_record(path) == record
    assert set(record.means()) == {"R1", "R5", "R10", "R20", "mAP", "mINP"}
    assert record.provenance["overrides"]["settings"] == QUICK
    write_record(tmp_path / "again.json", record)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()

    usvi_bench.run("pgm", "sysu_indoor", tiny_people["sysu"], settings=QUICK, output=tmp_path)
    assert "reusing finished stage 'pgm'" in capsys.readouterr().out, "one training serves both protocols"


def test_a_mistake_is_a_usage_error(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(usvi_bench.UsageError, match="did you mean sclhm"):
        usvi_bench.run("schlm", "sysu_all", output=tmp_path)
    with pytest.raises(usvi_bench.UsageError, match=r"did you mean train\.epochs"):
        usvi_bench.run("pgm", "sysu_all", tiny_people["sysu"], settings={"train.epoch": 1}, output=tmp_path)
    with pytest.raises(usvi_bench.UsageError, match="give one of them"):
        usvi_bench.run("pgm", "sysu_all", tiny_people["sysu"], output=tmp_path, resume=True, overwrite=True)
    assert not list(tmp_path.iterdir())


def test_one_of_several_processes_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", **meeting}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(usvi_bench.UsageError, match="trains in one process, not in 2"):
        usvi_bench.run("untrained", "sysu_all", output=tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_two_runs_at_once_in_a_process_are_refused(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    """They would share one random state, and scores would depend on the order of threads."""
    with _RUNNING, pytest.raises(usvi_bench.UsageError, match="another run is under way in this process"):
        usvi_bench.run("pgm", "sysu_all", tiny_people["sysu"], settings=QUICK, output=tmp_path, verbose=False)
    assert not _RUNNING.locked()


def test_a_float_of_numpy_trains_the_same_stage(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    for lr in (np.float64(1e-3), 1e-3):
        settings = {**QUICK, "train.lr": lr}
        record = usvi_bench.run(
            "pgm", "sysu_all", tiny_people["sysu"], settings=settings, output=tmp_path, verbose=False
        )
        assert record.complete
    assert len(list(tmp_path.glob("stages/pgm-*"))) == 1


def test_a_data_set_is_opened_by_its_protocol(tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    dataset = usvi_bench.open_data("regdb_v2i", tiny_people["regdb"])
    assert dataset.name == "regdb"
    assert len(dataset.test(1).visible) > 0
    assert f"reading {tiny_people['regdb']}" in capsys.readouterr().out
    with pytest.raises(usvi_bench.UsageError, match="it holds RegDB, not SYSU-MM01"):
        usvi_bench.open_data("sysu_all", tiny_people["regdb"])


def test_every_public_name_is_there_and_importing_the_package_is_cheap() -> None:
    for name in usvi_bench.__all__:
        assert getattr(usvi_bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        _ = usvi_bench.rum
    code = "import sys, usvi_bench; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "mmengine"} & set(loaded)


def test_in_a_notebook_lines_are_plain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from usvi_bench.engine.display import Display

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # another test may have imported it
    Display().table("title", {"student": dict.fromkeys(("R1", "R5", "R10", "R20", "mAP", "mINP"), 0.5)})
    assert "\x1b" in capsys.readouterr().out, "a terminal gets control codes"
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    display = Display()
    display.print("a line")
    display.table("title", {"student": dict.fromkeys(("R1", "R5", "R10", "R20", "mAP", "mINP"), 0.5)})
    out = capsys.readouterr().out
    assert "a line" in out
    assert "\x1b" not in out
    assert not display.console.is_terminal


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": None}, "method=None: expected text"),
        ({"protocol": 3}, "protocol=3: expected text"),
        ({"setting": Path("paper")}, r"setting=PosixPath\('paper'\): expected text"),
        ({"schedule": 3}, "schedule=3: expected text"),
        ({"weights": b"x"}, "weights=b'x': expected text"),
        ({"device": None}, "device=None: expected text"),
        ({"output": 3}, "output=3: expected a path"),
        ({"settings": ["train.epochs=1"]}, r"settings=\['train.epochs=1'\]: give a mapping of names to values"),
        ({"settings": np.ones(2)}, "give a mapping of names to values"),
        ({"imports": "mine.py"}, "imports='mine.py': give a list of modules or files"),
        ({"imports": [3]}, r"imports=\[3\]: give a list of modules or files"),
        ({"schedule": Path("absent.toml")}, "absent.toml: no such file or folder; (check the path|did you mean)"),
        ({"settings": {"data.folds": (1, 1)}}, "data.folds=1,1: name each fold once"),
    ],
)
def test_arguments_of_wrong_types_are_usage_errors(
    arguments: dict[str, Any], message: str, tiny_people: dict[str, Path], tmp_path: Path
) -> None:
    given = {"method": "pgm", "protocol": "sysu_all", "output": tmp_path, "data": tiny_people["sysu"], **arguments}
    with pytest.raises(usvi_bench.UsageError, match=message):
        usvi_bench.run(**given)
    assert not list(tmp_path.iterdir())


def test_open_data_refuses_arguments_of_wrong_types() -> None:
    with pytest.raises(usvi_bench.UsageError, match="3 is no name of a protocol: give text"):
        usvi_bench.open_data(3)  # type: ignore[arg-type]
    with pytest.raises(usvi_bench.UsageError, match=r"imports='mine.py': give a list"):
        usvi_bench.open_data("sysu_all", imports="mine.py")
