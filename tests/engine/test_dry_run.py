"""Dry run: what it prints, and that it writes nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from usvi_bench import api
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.datasets.planned import PlannedDataset
from usvi_bench.engine import dry_run
from usvi_bench.engine.calibration import StageCost, measure_stage
from usvi_bench.engine.doctor import Finding
from usvi_bench.engine.dry_run import describe_run
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.plan import plan_stages
from usvi_bench.synthetic import SyntheticSpec

SETTINGS = {"train.iterations": 3, "encoder.width": 8, "engine.threads": 1}


def tree(*folders: Path) -> dict[str, int]:
    """Return every path below some folders, with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


def experiment(data: str, output: Path, method: str = "pgm", **more: object) -> Experiment:
    settings = {**SETTINGS, **more}
    return Experiment(method, "sysu_all", data, settings=settings, schedule="quick", device="cpu", output=output)


def words(data: str, output: Path) -> list[str]:
    settings = [f"{name}={value}" for name, value in SETTINGS.items()]
    base = ["--protocol", "sysu_all", "--device", "cpu", "--data", data, "--output", str(output), "--dry-run"]
    return [*base, "--set", *settings]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_people_that_are_not_rendered_are_planned_and_nothing_is_written(
    empty_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--method", "pgm", "--schedule", "quick", *words("synthetic:size=tiny", empty_cache / "runs")]
    assert main(command) == 0
    text = capsys.readouterr().out
    images = PlannedDataset("sysu", SyntheticSpec(size="tiny")).images
    assert f"{images} images to render" in text
    assert "fold 1, stage 1 of 2, cluster_contrast, 2 epochs of 3 steps: to train\n" in text
    assert "to train: 2 stages, 12 steps\n" in text
    assert "s a step" in text
    assert "basis: measured just now" in text
    assert text.endswith("nothing was written\n")
    assert not tree(empty_cache)


OTHERS = "synthetic:size=tiny,seed=2"


@pytest.mark.parametrize("option", [{"train_data": OTHERS}, {"donors": OTHERS}])
def test_other_people_to_train_on_may_not_be_rendered_either(
    option: dict[str, str], empty_cache: Path, tiny_people: dict[str, Path]
) -> None:
    foreign = {"data.foreign": 0.5} if "donors" in option else {}
    for data in ("synthetic:size=tiny", str(tiny_people["sysu"])):
        wanted = replace(experiment(data, empty_cache / "runs", **foreign), **option)  # type: ignore[arg-type]
        lines = "\n".join(describe_run(wanted))
        assert "images to render" in lines
        assert "KEY" in lines
        assert "to train into" not in lines
    assert not tree(empty_cache)
    with pytest.raises(UsageError, match="--resume continues a training and --overwrite discards it"):
        next(describe_run(wanted, resume=True, overwrite=True))


def test_the_jobs_of_a_grid_are_listed_and_nothing_is_written(
    empty_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = empty_cache / "grid.toml"
    grid.write_text('[rows]\n"one" = {}\n')
    before = tree(empty_cache)
    command = ["ablation", "--method", "untrained", "--seeds", "1", "--grid", str(grid)]
    base = words("synthetic:size=tiny", empty_cache / "runs")
    assert main([*command, *base]) == 0
    assert "1 of 1 jobs to run" in capsys.readouterr().out
    assert tree(empty_cache) == before


def test_a_run_and_its_dry_runs(tiny_people: dict[str, Path], empty_cache: Path) -> None:
    people = empty_cache / "people"
    shutil.copytree(tiny_people["sysu"], people)
    wanted = experiment(str(people), empty_cache / "runs")
    before = tree(empty_cache)
    lines = "\n".join(describe_run(wanted))
    assert tree(empty_cache) == before, "neither the fingerprint nor decoded images are kept"
    assert "decoded images: 0 of 457 from the cache, 457 to decode" in lines

    api.run("pgm", "sysu_all", people, settings=SETTINGS, schedule="quick", output=wanted.output, verbose=False)
    before = tree(empty_cache)
    lines = "\n".join(describe_run(wanted))
    assert "decoded images: 457 of 457 from the cache, 0 to decode" in lines
    assert lines.count("finished, reused from") == 2
    assert "to train: 0 stages, 0 steps" in lines
    assert "(has a record; the run scores again and replaces it)" in lines
    (record,) = wanted.output.glob("sysu_all/*/record.json")
    assert f"results: {record.parent}" in lines
    again = "\n".join(describe_run(wanted, overwrite=True))
    assert again.count("to train again") == 2
    assert "to train: 2 stages, 12 steps" in again

    (last,) = wanted.output.glob("stages/pgm-*/finished.json")
    last.unlink()
    (last.parent / "epoch_0002.pt").unlink()
    before = tree(empty_cache)
    text = f"1 of 2 epochs are done in {last.parent}"
    assert f"refused without --resume or --overwrite; {text}" in "\n".join(describe_run(wanted))
    lines = "\n".join(describe_run(wanted, resume=True))
    assert f"continued; {text}" in lines
    assert "to train: 1 stage, 3 steps" in lines
    assert tree(empty_cache) == before


@pytest.mark.parametrize("name", [name for name in METHODS.own_names() if name != "untrained"])
def test_the_steps_of_every_method_can_be_measured(name: str, tmp_path: Path) -> None:
    changes = {**SETTINGS, "train.iterations": 1}
    config = load_config(name, "sysu_all", profile="synthetic_sysu", settings=changes, schedule="quick")
    for plan in plan_stages(config, 1, "data", "random", tmp_path):
        cost = measure_stage(config, plan, (40, 30), torch.device("cpu"))
        assert min(cost.step, cost.embed, cost.cluster) > 0
        assert cost.share == 1
        assert cost.networks == (2 if name == "pclhd" and plan.method == "pclhd" else 1)


def test_the_time_of_a_stage_is_the_sum_over_its_epochs(tmp_path: Path) -> None:
    config = load_config("adca", "sysu_all", profile="synthetic_sysu", settings={"train.epochs": 3})
    (*_, plan) = plan_stages(config, 1, "data", "random", tmp_path)
    cost = StageCost(step=0.5, share=1.0, embed=0.01, networks=2, cluster=4.0)
    expected = 0.0
    for _ in range(plan.epochs):
        for _ in range(20):
            expected += 0.5
        for _ in range(100):
            expected += 2 * 0.01
        expected += 4.0
    assert cost.seconds(plan, steps=20, images=100) == pytest.approx(expected)


def test_a_step_that_does_not_fit_is_not_measured(
    tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "memory_finding", lambda *_: Finding("memory", "about 31 GiB a step", "lower it"))
    monkeypatch.setattr(dry_run, "measure_stage", lambda *_: pytest.fail("it was measured"))
    lines = list(describe_run(experiment(str(tiny_people["sysu"]), tmp_path)))
    assert "memory: about 31 GiB a step; too much: lower it" in lines
    assert "time: not measured, because a step does not fit into the memory" in lines
