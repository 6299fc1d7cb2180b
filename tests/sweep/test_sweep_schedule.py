"""Jobs of a grid: no repeated training, no effect of a failure on other jobs, all state on disk."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.leaderboard.records import make_record
from usvi_bench.core.errors import StorageError
from usvi_bench.core.files import locked, write_json
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import write_record
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.plan import StagePlan, clear_stage
from usvi_bench.methods.base import MethodConfig
from usvi_bench.sweep.estimate import _seconds_per_step, work
from usvi_bench.sweep.grid import Row
from usvi_bench.sweep.jobs import Job, State
from usvi_bench.sweep.launch import Launcher, LocalLauncher
from usvi_bench.sweep.live_view import LiveView, listing
from usvi_bench.sweep.planning import Grid, _value
from usvi_bench.sweep.schedule import run_jobs


def make_job(folder: Path, name: str, *stages: str, data: str = "d") -> Job:
    description = {"data": data, "settings": {"train": {"iterations": 10}}}
    plans = [
        StagePlan(key, folder / "stages" / key, "m", MethodConfig(), i, 2, 1, 0, description)
        for i, key in enumerate(stages)
    ]
    return Job(folder / "jobs" / name, Row(name, {}), 0, Experiment("sclhm", "sysu_all"), plans, "grid")


class TickLauncher(Launcher):
    """Launcher whose every refresh trains one stage of each running job, in order and on disk, as real jobs do."""

    poll = 0.0

    def __init__(self, failing: tuple[str, ...] = (), killed: tuple[str, ...] = (), refused: tuple[str, ...] = ()):
        self.failing, self.killed, self.refused = failing, killed, refused
        self.running: list[Job] = []
        self.trained: Counter[str] = Counter()
        self.most = 0

    def start(self, job: Job) -> None:
        if job.name in self.refused:
            raise OSError("the queue is closed")
        self.running.append(job)

    def alive(self, job: Job) -> bool:
        return job in self.running

    def stop(self, job: Job) -> None:
        self.running.remove(job)

    def refresh(self) -> None:
        self.most = max(self.most, len(self.running))
        stages = [job.next_stage.key for job in self.running if job.next_stage is not None]
        assert len(stages) == len(set(stages)), "two jobs train the same stage at the same time"
        for job in list(self.running):
            plan = job.next_stage
            if plan is not None:
                self.trained[plan.key] += 1
                write_json(plan.folder / "finished.json", {})
                if not (job.name in self.failing + self.killed and plan.position == 1):
                    continue
            if job.name in self.failing:
                job.fail("it diverged")
            elif job.name not in self.killed:
                write_json(job.folder / "record.json", {})
            self.running.remove(job)


def finish(folder: Path, name: str, data: str, method: str, seconds: float) -> None:
    """Write a finished training with two steps per epoch."""
    stage = folder / "stages" / name
    write_json(stage / "finished.json", {})
    write_json(stage / "config.json", {"data": data, "method": method})
    line = {"kind": "epoch", "seconds": {"train": 2 * seconds}, "steps": 2}
    Journal(stage / "journal.jsonl").replace([line, line])


def test_time_is_estimated_from_trainings_on_the_same_images(tmp_path: Path) -> None:
    """Two epochs of ten steps each."""
    small, large = make_job(tmp_path, "a", "one", data="small"), make_job(tmp_path, "b", "two", data="large")
    assert work([small, large]).unknown == [*small.plans, *large.plans]
    finish(tmp_path, "x", "small", "m", 3.0)
    todo = work([large, small])
    assert todo.seconds == pytest.approx(20 * 3.0)
    assert todo.unknown == large.plans
    finish(tmp_path, "y", "large", "another", 50.0)
    todo = work([small, large])
    assert todo.seconds == pytest.approx(20 * 3.0 + 20 * 50.0)
    assert todo.unknown == []


def test_the_dry_run_counts_trainings_without_an_estimate(tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, "a", "one", data="small"), make_job(tmp_path, "b", "two", "three", data="large")]
    finish(tmp_path, "x", "small", "m", 30.0)
    grid = Grid("m", "p", tmp_path, [job.row for job in jobs], {job.row.name: {0: job} for job in jobs}, {})
    console = Console(file=StringIO(), width=200)
    listing([grid], 1, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "about 10 min" in text
    assert "no estimate for 2 trainings" in text


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_shared_stages_are_trained_once_and_slots_are_kept(tmp_path: Path, slots: int) -> None:
    jobs = [make_job(tmp_path, f"{row}{seed}", f"first{seed}", f"{row}-{seed}") for seed in "01" for row in "abc"]
    assert work(jobs).named == 12
    assert work(jobs).steps == 8 * 2 * 10
    launcher = TickLauncher()
    run_jobs(jobs, launcher, slots, lambda: None)
    assert all(job.state is State.DONE for job in jobs)
    assert set(launcher.trained.values()) == {1}
    assert len(launcher.trained) == 2 + 6
    assert launcher.most <= slots


def test_jobs_that_only_differ_in_scoring_wait_for_one_training(tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, name, "first", "second") for name in ("all", "indoor")]
    launcher = TickLauncher()
    run_jobs(jobs, launcher, 2, lambda: None)
    assert launcher.trained == {"first": 1, "second": 1}


def test_one_failure_of_each_kind_leaves_the_others_alone(tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, name, "first", name) for name in ("good", "diverging", "killed", "refused", "last")]
    run_jobs(jobs, TickLauncher(("diverging",), ("killed",), ("refused",)), 2, lambda: None)
    states = {job.name: job.state for job in jobs}
    assert states == {
        "good": State.DONE,
        "diverging": State.FAILED,
        "killed": State.FAILED,
        "refused": State.FAILED,
        "last": State.DONE,
    }
    errors = {job.name: job.error or "" for job in jobs}
    assert errors["diverging"] == "it diverged"
    assert "without a result" in errors["killed"]
    assert errors["refused"] == "the queue is closed"
    again = TickLauncher()
    run_jobs(jobs, again, 2, lambda: None)
    assert all(job.state is State.DONE for job in jobs), "failed jobs are tried again"
    assert again.trained == {"refused": 1}, "and only what is missing is trained"


@pytest.mark.parametrize("lasting", [False, True])
def test_an_error_stops_only_jobs_that_end_with_the_command(lasting: bool, tmp_path: Path) -> None:
    launcher = TickLauncher()
    launcher.lasting = lasting

    def full() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        run_jobs([make_job(tmp_path, "a", "first")], launcher, 1, full)
    assert bool(launcher.running) == lasting


def test_an_interrupt_stops_the_jobs_and_leaves_them_pending(tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, name, "first", name) for name in "ab"]
    launcher = TickLauncher()
    looks = iter(range(100))

    def interrupted() -> None:
        if next(looks) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, launcher, 2, interrupted)
    assert launcher.running == []
    assert {job.state for job in jobs} == {State.PENDING}
    run_jobs(jobs, launcher, 2, lambda: None)
    assert set(launcher.trained.values()) == {1}


def test_a_job_that_an_earlier_command_left_running_is_waited_for(tmp_path: Path) -> None:
    job = make_job(tmp_path, "orphan", "first")
    launcher = LocalLauncher(1, use_gpu=False)
    launcher.poll = 0.01
    looks = 0

    holding = ExitStack()  # an earlier process's hold, which ends during the call
    holding.enter_context(locked(job.lock, wait=False))
    assert job.state is State.RUNNING

    def end_of_orphan() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            write_json(job.folder / "record.json", {})
            holding.close()

    run_jobs([job], launcher, 1, end_of_orphan)
    assert looks >= 3
    assert job.state is State.DONE
    assert launcher.started == {}


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"message": ["x"]}', '{"log": 3, "id": []}'])
def test_damaged_files_of_a_job_are_no_crash(tmp_path: Path, content: str) -> None:
    job = make_job(tmp_path, "a", "s")
    job.prepare()
    for name in ("error.json", "submitted.json"):
        (job.folder / name).write_text(content)
    assert job.state is State.FAILED
    assert job.error
    assert job.log is None
    assert not LocalLauncher(1, use_gpu=False).alive(job)


def test_a_job_runs_while_its_lock_is_held_although_its_controller_ended(tmp_path: Path) -> None:
    job, launcher = make_job(tmp_path, "a", "s"), LocalLauncher(1, use_gpu=False)
    launcher.started[job] = SimpleNamespace(done=lambda: True)  # type: ignore[assignment]
    with locked(job.lock, wait=False):
        assert launcher.alive(job)
    assert not launcher.alive(job)


def test_a_run_without_scores_is_shown_with_a_dash(tmp_path: Path) -> None:
    job = make_job(tmp_path, "a", "s")
    write_record(job.folder / "record.json", make_record(scores=[]))
    assert LiveView([], Console())._score(job) == "-"


def test_rows_may_have_former_names_and_settings_of_other_encoders() -> None:
    config = load_config("pgm", "sysu_all", profile="sysu", settings={"encoder.name": "vit_s16"})
    assert _value(config, "encoder.width") is None
    assert _value(config, "train.amp") == config.train.precision


def test_a_damaged_training_gives_no_estimate(tmp_path: Path) -> None:
    line = {"kind": "epoch", "seconds": {"train": 3.0, "cluster": 1.0}, "steps": 2}
    for name, config, kept in (("a", {"data": "d", "method": "m"}, line), ("b", {}, line), ("c", {"data": "d"}, {})):
        folder = tmp_path / name
        write_json(folder / "config.json", config)
        write_json(folder / "finished.json", {})
        Journal(folder / "journal.jsonl").append(kept)
    assert _seconds_per_step(tmp_path, "d") == {"m": 2.0}


def test_a_stage_that_cannot_be_removed_is_not_reused(tmp_path: Path) -> None:
    (plan,) = make_job(tmp_path, "a", "s").plans
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "finished.json").write_text("{}")
    clear_stage(plan)  # nothing is there
    plan.folder.parent.mkdir()
    plan.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"cannot remove .*stages/s: .*; remove it, or choose another --output"):
        clear_stage(plan)
