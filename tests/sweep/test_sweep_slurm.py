"""Slurm launcher, tested with fake sbatch, srun, squeue and scancel programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_json
from usvi_bench.core.revision import ROOT
from usvi_bench.engine.experiment import Experiment
from usvi_bench.sweep.grid import Row
from usvi_bench.sweep.jobs import Job, State
from usvi_bench.sweep.launch import SlurmLauncher
from usvi_bench.sweep.live_view import failure
from usvi_bench.sweep.schedule import run_jobs


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with fake sbatch, srun, squeue and scancel that log their arguments."""
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
    return Job(folder / "jobs" / "sclhm-seed0-abc", Row("full", {}), 0, Experiment("sclhm", "sysu_all"), [], "grid")


def make_launcher(warnings: list[str] | None = None, **more: str) -> SlurmLauncher:
    warn = [].append if warnings is None else warnings.append
    launcher = SlurmLauncher(8, {"partition": "gpu", "gpus": 1, "time": 90}, more, warn)
    launcher.poll, launcher.lateness = 0.01, 0.0
    return launcher


def test_the_script_requests_the_given_resources(slurm: Path, tmp_path: Path) -> None:
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
    launcher.refresh()
    assert (slurm / "squeue.arguments").read_text().split() == ["--me", "-h", "-o", "%i"]
    assert launcher.alive(job)
    assert job.state is State.PENDING, "it waits in the queue"
    assert make_launcher().alive(job) is False, "nobody has asked the queue yet"
    another = make_launcher()
    another.refresh()
    assert another.alive(job), "a later command finds it in the queue"
    launcher.stop(job)
    assert (slurm / "cancelled").read_text().split() == ["7"]
    launcher.refresh()
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
    job.folder.mkdir(parents=True)
    (job.folder / "submitted.json").write_text('{"id": "5", "log": "former.log"}')
    run_jobs([job], make_launcher(), 1, lambda: None)
    assert "sbatch refused" in (job.error or "")
    assert "log" not in failure(job), "the log is that of a former attempt"


def test_a_job_may_leave_the_queue_before_its_record_is_seen(slurm: Path, tmp_path: Path) -> None:
    """On a shared disk, files of one machine become visible on another with a delay."""
    job = make_job(tmp_path)
    launcher = make_launcher()
    launcher.lateness = 60.0
    states = []

    def show() -> None:
        (slurm / "queue").write_text("")
        states.append(job.state)
        if len(states) == 5:
            write_json(job.folder / "record.json", {})

    run_jobs([job], launcher, 1, show)
    assert states == [State.PENDING] * 5 + [State.DONE]
    assert not (job.folder / "error.json").exists()


def test_a_queue_that_does_not_answer_keeps_its_jobs_and_gives_a_warning(slurm: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    warnings: list[str] = []
    launcher = make_launcher(warnings)
    working = (slurm / "squeue").read_text()
    looks = 0

    def show() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            (slurm / "squeue").write_text("#!/bin/sh\necho no route >&2\nexit 1\n")
        if looks in (4, 6):
            assert launcher.last_answer is not None
            launcher.last_answer -= 1000
        if looks == 8:
            write_json(job.folder / "record.json", {})
            (slurm / "squeue").write_text(working)
            (slurm / "queue").write_text("")

    run_jobs([job], launcher, 1, show)
    assert job.state is State.DONE
    assert not (slurm / "cancelled").exists()
    assert len(warnings) == 2, "one warning per silent period"
    assert "no route" in warnings[0]
    assert "same command" in warnings[0]


def test_a_queue_that_never_answered_ends_the_command_before_anything_is_started(slurm: Path, tmp_path: Path) -> None:
    (slurm / "squeue").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(UsageError, match="squeue does not answer"):
        run_jobs([make_job(tmp_path)], make_launcher(), 1, lambda: None)
    assert not (slurm / "script").exists()


@pytest.mark.parametrize(("error", "cancelled"), [(KeyboardInterrupt, True), (OSError, False)])
def test_jobs_are_cancelled_by_an_interrupt_only(
    slurm: Path, tmp_path: Path, error: type[BaseException], cancelled: bool
) -> None:
    def show() -> None:
        raise error

    with pytest.raises(error):
        run_jobs([make_job(tmp_path)], make_launcher(), 1, show)
    assert (slurm / "cancelled").exists() == cancelled


def test_without_slurm_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="no sbatch on PATH"):
        make_launcher()
