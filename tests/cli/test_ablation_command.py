"""Command ``run.py ablation``: output and messages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import read_record
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.read_settings import CONFIGS
from usvi_bench.sweep import run_grids
from usvi_bench.sweep.grid import Row, read_rows
from usvi_bench.sweep.planning import cached_opener, plan_grid

ROOT = Path(__file__).resolve().parent.parent.parent
METHODS_WITH_ROWS = sorted(path.stem for path in (CONFIGS / "ablations").glob("*.toml"))
GRID = """
off = {"sscl": False, "hml": False, "amu": False}
rows = {
    "continued": {"method": off},
    "broken": {"method": {"eps": 0.001}},
    "SCLHM": {},
}
"""
QUICK = [
    "train.epochs=1",
    "train.iterations=2",
    "train.visible_clusters=2",
    "train.infrared_clusters=2",
    "method.k1=6",
    "method.eps=0.5",
    "encoder.width=8",
    "engine.threads=1",
]


def test_the_grids_of_all_methods_are_planned_for_several_protocols_at_once(
    tmp_path: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ablation", "--method", *METHODS_WITH_ROWS, "--protocol", "sysu_all", "regdb_v2i", "--seeds", "2"]
    words += ["--data", "synthetic:size=tiny", "--set", "method.k1=6", "--output", str(tmp_path / "out"), "--dry-run"]
    assert main(words) == 0
    text = " ".join(capsys.readouterr().out.split())
    rows = sum(len(read_rows(method)) for method in METHODS_WITH_ROWS)
    jobs, different, named = map(
        int, re.findall(r"(\d+) of \d+ jobs to run, with (\d+) trainings \((\d+) without", text)[0]
    )
    assert rows * 2 * 2 * 0.8 < jobs <= rows * 2 * 2, "equal rows share their jobs"
    assert different < named - jobs, "methods and rows share their first stages"
    assert "no estimate for" in text
    assert "about" not in text.partition("training time:")[2]
    assert not (tmp_path / "out").exists(), "a dry run writes nothing"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["--method", "sclmh", "--protocol", "sysu_all"], "sclhm"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--seeds", "0"], "from 1 to"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--partition", "gpu"], "--launcher slurm"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--partiton", "gpu"], "--partition"),
        (["--method", "supervised", "--protocol", "sysu_all"], "--grid"),
        (
            ["--method", "sclhm", "--protocol", "sysu_all", "--grid", "configs/ablations/schlm.toml"],
            "did you mean configs/ablations/sclhm.toml",
        ),
    ],
)
def test_a_mistake_names_the_remedy(
    words: list[str], remedy: str, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablation", *words, "--data", "synthetic:size=tiny", "--dry-run"]) == 2
    assert remedy in capsys.readouterr().err


def test_a_mistake_in_a_row_names_the_row(
    tmp_path: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text('rows = {"good": {}, "misspelt": {"method": {"sscll": False}}}')
    words = ["ablation", "--method", "sclhm", "--protocol", "sysu_all", "--grid", str(file)]
    assert main([*words, "--data", "synthetic:size=tiny", "--set", "method.k1=6", "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "row 'misspelt'" in error
    assert "sscl" in error
    file.write_text("rows = [1]")
    with pytest.raises(UsageError, match="write rows ="):
        read_rows("sclhm", file)
    file.write_text("rows = {")
    with pytest.raises(UsageError, match="SyntaxError"):
        read_rows("sclhm", file)


def test_all_rows_have_the_schedule(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    grid = [Row("base", {}), Row("longer", {"train.epochs": 3})]
    base = Experiment("pgm", "sysu_all", data=str(tiny_people["sysu"]), output=tmp_path, device="cpu")
    short = replace(base, schedule="quick")
    made, other = (plan_grid(each, grid, 1, 1, cached_opener()) for each in (short, base))
    epochs = [job.experiment.prepare().config.train.epochs for job in made.every_job]
    assert epochs == [2, 3]
    assert made.content["schedule"] == "quick"
    assert made.folder != other.folder


def test_an_interrupted_grid_is_not_published(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing replaces the records of a former grid, which an unfinished one does not have."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_grids, "run_jobs", interrupt)
    words = ["--method", "sclhm", "--protocol", "sysu_all", "--seeds", "1", "--data", str(tiny_people["sysu"])]
    with pytest.raises(SystemExit, match="130"):
        main(["ablation", *words, "--output", str(tmp_path / "o"), "--publish", str(tmp_path / "kept")])
    assert list(tmp_path.glob("o/ablations/*/table.md"))
    assert not (tmp_path / "kept").exists()


def wait_for_a_record(output: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 900
    while not list(output.glob("ablations/*/jobs/*/record.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_grid_that_is_interrupted_finishes_only_what_is_missing(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GRID)
    output = tmp_path / "runs"
    command = [sys.executable, str(ROOT / "run.py"), "ablation", "--method", "sclhm", "--protocol", "sysu_all"]
    command += ["--grid", str(file), "--seeds", "1", "--jobs", "2", "--data", str(tiny_people["sysu"])]
    command += ["--output", str(output), "--device", "cpu", "--set", *QUICK]
    environment = {**os.environ, "PYTHONPATH": ""}
    with (
        (tmp_path / "errors").open("w") as errors,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        try:
            wait_for_a_record(output, process)
        finally:
            process.send_signal(signal.SIGINT)
    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert process.returncode in (130, 1), "1 where all was over already"
    records = {path: path.stat().st_mtime_ns for path in output.glob("ablations/*/jobs/*/record.json")}
    trained = {path: path.stat().st_mtime_ns for path in output.glob("stages/*/finished.json")}
    assert records

    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 1, again.stderr
    assert "'broken', seed 0" in again.stderr
    assert "clusters (eps=0.001" in again.stderr
    (log,) = re.findall(r"log: (\S+)", again.stderr)
    assert "clusters (eps=0.001" in Path(log).read_text()
    every = list(output.glob("ablations/*/jobs/*/record.json"))
    assert len(every) == 2
    for path, written in {**records, **trained}.items():
        assert path.stat().st_mtime_ns == written, f"{path} was made again"
    assert all((read_record(path).provenance.get("ablation") or "").startswith("sclhm-sysu_all-mine") for path in every)
    starts = [len(path.read_text().splitlines()) for path in output.glob("stages/cluster_contrast-*/starts.jsonl")]
    assert starts.count(1) >= 1
    assert not (output / "sysu_all").exists(), "grids stay apart from the runs of the leaderboard"
    (folder,) = (output / "ablations").iterdir()
    table = (folder / "table.md").read_text()
    assert "broken | 0 of 1" in table
    assert re.search(r"seed 0: failed: .*clusters \(eps=0\.001", table)
    content = json.loads((folder / "grid.json").read_text())
    assert [row["name"] for row in content["rows"]] == ["continued", "broken", "SCLHM"]
