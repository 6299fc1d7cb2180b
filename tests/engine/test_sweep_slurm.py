"""What the cluster is asked for, against programs that stand in for Slurm's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from engine.environment import ROOT
from engine.registry import UsageError
from engine.sweep.grid import Row
from engine.sweep.jobs import Job, State
from engine.sweep.launch import SlurmLauncher
from engine.sweep.schedule import run_jobs


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with sbatch, srun, squeue and scancel that note how they are called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {
        "sbatch": 'cp "$1" $D/script; echo 7 > $D/queue; echo "Submitted batch job 7"',
        "srun": "exit 1",
        "squeue": 'echo "$@" > $D/squeue.arguments; cat $D/queue',
        "scancel": 'echo "$@" > $D/cancelled; : > $D/queue',
    }
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\nD={folder}\n{body}\n")
        (folder / name).chmod(0o755)
    (folder / "queue").touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def make_job(folder: Path) -> Job:
    return Job(folder / "jobs" / "sclhm-seed0-abc", Row("full", {}), 0, ["--method", "sclhm"], [], "grid")


def make_launcher(**more: str) -> SlurmLauncher:
    launcher = SlurmLauncher(8, {"partition": "gpu", "gpus": 1, "time": 90}, more)
    launcher.poll = 0.01
    return launcher


def test_the_script_asks_for_what_was_said(slurm: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    job.prepare()
    launcher = make_launcher(account="me", mem="16G")
    launcher.start(job)
    script = (slurm / "script").read_text()
    for wanted in (
        "#SBATCH --partition=gpu",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --time=90",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --account=me",
        "#SBATCH --mem=16G",
        "#SBATCH --job-name=sclhm-seed0-abc",
        f"export PYTHONPATH={ROOT}:$PYTHONPATH",
        f"{sys.executable} -u -m submitit.core._submit",
    ):
        assert wanted in script
    assert json.loads((job.folder / "submitted.json").read_text())["id"] == "7"
    launcher.look()
    assert (slurm / "squeue.arguments").read_text().split() == ["--me", "-h", "-o", "%i"]
    assert launcher.alive(job)
    assert job.state is State.PENDING, "it waits in the queue"
    assert make_launcher().alive(job) is False, "nobody has asked the queue yet"
    another = make_launcher()
    another.look()
    assert another.alive(job), "a later command finds it in the queue"
    launcher.stop(job)
    assert (slurm / "cancelled").read_text().split() == ["7"]
    launcher.look()
    assert not launcher.alive(job)


def test_a_job_that_leaves_the_queue_without_a_record_has_failed(slurm: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    shown = []

    def show() -> None:
        shown.append(job.state)
        (slurm / "queue").write_text("")

    run_jobs([job], make_launcher(), 1, show)
    assert job.state is State.FAILED
    assert job.log is not None
    assert job.log.endswith("7_0_log.out")


def test_a_refusal_of_sbatch_fails_the_job_only(slurm: Path, tmp_path: Path) -> None:
    (slurm / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    job = make_job(tmp_path)
    run_jobs([job], make_launcher(), 1, lambda: None)
    assert "sbatch refused" in (job.error or "")


def test_a_queue_that_does_not_answer_keeps_its_jobs(slurm: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    job.prepare()
    launcher = make_launcher()
    launcher.start(job)
    (slurm / "squeue").write_text("#!/bin/sh\nexit 1\n")
    launcher.look()
    assert launcher.alive(job)
    launcher.answered -= 1000
    with pytest.raises(UsageError, match="squeue has not answered"):
        launcher.look()


def test_without_slurm_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="no sbatch on PATH"):
        make_launcher()
