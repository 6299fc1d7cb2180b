"""Campaign: the list of runs, and jobs that share trainings, fail, are interrupted and continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from usvi_bench.analysis import campaign
from usvi_bench.analysis.campaign import Job, make, read_plan
from usvi_bench.cli.train import parser as run_parser
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.sweep.grid import read_rows

WORK = """
import sys, time
word, log = sys.argv[1:]
open(log, "a").write(f"{word} starts\\n")
time.sleep({"slow": 60}.get(word, 0.3))
open(log, "a").write(f"{word} ends\\n")
sys.exit(word == "bad")
"""


def job(name: str, shares: str, *words: str) -> Job:
    return Job(name, frozenset(shares.split()), tuple((word,) for word in words or (name,)))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace ``run.py`` by a process that writes its start and its end to this file."""
    file = tmp_path / "log"

    def start(job: Job, position: int, output: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WORK, *job.commands[position], str(file)])

    monkeypatch.setattr(campaign, "_start", start)
    monkeypatch.setattr(campaign, "PAUSE", 0.02)
    return file


def test_the_plan_has_every_method_on_every_board_with_commands_that_exist() -> None:
    jobs = read_plan()
    words = [command for each in jobs for command in each.commands]
    for method in METHODS.own_names():
        for protocol in ("sysu_all", "sysu_indoor", "regdb_v2i", "regdb_i2v"):
            assert any(command[1] == method and protocol in command and "seed=1000" in command[3] for command in words)
    for command in words:
        if command[0] != "ablation":
            run_parser().parse_args(command)
        elif "--grid" in command:
            method, grid = (command[command.index(option) + 1] for option in ("--method", "--grid"))
            assert len(read_rows(method, Path(grid))) > 1


def test_names_are_unique(tmp_path: Path) -> None:
    entry = '[[entries]]\nmethods = ["pgm"]\nprotocols = ["sysu_all"]\ndata = "synthetic"\nseeds = 1\n'
    (tmp_path / "plan.toml").write_text(2 * entry)
    with pytest.raises(UsageError, match="two jobs are named seed0-pgm-sysu-synthetic; remove one"):
        read_plan(tmp_path / "plan.toml")


def test_jobs_that_share_trainings_run_one_after_another(log: Path, tmp_path: Path) -> None:
    jobs = [job("a", "x", "a1", "a2"), job("b", "x"), job("c", "y"), job("bad", "z")]
    assert make(jobs, tmp_path / "out", 2, 60, "commit") == (3, ["bad"])
    lines = log.read_text().splitlines()
    assert [line for line in lines if line[0] == "a"] == ["a1 starts", "a1 ends", "a2 starts", "a2 ends"]
    assert lines.index("b starts") > lines.index("a2 ends")
    assert lines.index("c starts") < lines.index("a1 ends"), "the second slot is used"
    log.unlink()
    assert make(jobs, tmp_path / "out", 2, 60, "commit") == (3, ["bad"])
    assert log.read_text().splitlines() == ["bad starts", "bad ends"], "finished jobs are not made again"
    with pytest.raises(UsageError, match="holds runs of commit commit, not other"):
        make(jobs, tmp_path / "out", 2, 60, "other")


def test_jobs_are_interrupted_when_the_time_is_over(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = lambda: log.exists() and log.read_text() != ""  # noqa: E731
    monkeypatch.setattr(campaign.time, "monotonic", lambda: 2.0 * begun())  # the time ends when the first job begins
    assert make([job("slow", "x"), job("b", "x")], tmp_path / "out", 2, 1, "commit") == (0, [])
    assert log.read_text().splitlines() == ["slow starts"]


def test_a_signal_interrupts_the_jobs(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = campaign._start

    def follow(job: Job, position: int, output: Path) -> subprocess.Popen[bytes]:
        started.append(start(job, position, output))
        return started[-1]

    monkeypatch.setattr(campaign, "_start", follow)
    monkeypatch.setattr(campaign, "read_plan", lambda _: [job("slow", "x")])
    monkeypatch.setattr(campaign, "find_revision", lambda: ("commit", False))
    monkeypatch.setattr(campaign.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert campaign.main(["--output", str(tmp_path / "out")]) == 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [process.returncode for process in started] == [-signal.SIGTERM]
