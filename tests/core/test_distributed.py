"""Distributed training equals training in one process; a lost process ends it and leaves a checkpoint."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.together import launch, normalise_exactly, together
from usvi_bench.cli.main import main
from usvi_bench.components.encoder.batch_norm import GroupedBatchNorm
from usvi_bench.core.distributed import collectives
from usvi_bench.core.distributed.process_info import ProcessInfo, process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.engine.checkpoint import load
from usvi_bench.engine.load_config import load_config, parse_settings

EPOCHS = 3


def words(output: Path, data: Path, *settings: str) -> list[str]:
    small = [
        "train.iterations=1",
        "train.visible_clusters=2",
        "train.infrared_clusters=2",
        "train.instances=3",
    ]
    small += [f"train.epochs={EPOCHS}", "encoder.width=8", "method.k1=6", "method.eps=0.5", "engine.threads=1"]
    base = ["--method", "cluster_contrast", "--protocol", "sysu_all", "--data", str(data), "--output", str(output)]
    return [*base, "--device", "cpu", "--weights", "random", "--no-report", "--set", *small, *settings]


def train(rank: int, arguments: list[str], log: Path | None = None) -> None:
    """Run ``run.py`` in a separate process and exit with its status."""
    if log is None:
        raise SystemExit(main(arguments))
    with (log / f"{rank}.txt").open("w") as file, contextlib.redirect_stderr(file):
        status = main(arguments)
    raise SystemExit(status)


def stage(output: Path) -> Path:
    (folder,) = (output / "stages").glob("cluster_contrast-*")
    return folder


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stage(output) / "journal.jsonl").read_text().splitlines()]


def train_exactly(rank: int, arguments: list[str]) -> None:
    """Train with batch norm in float64; torch's CPU kernel alone causes gradient errors of 3e-3."""
    GroupedBatchNorm.forward = normalise_exactly  # type: ignore[method-assign]
    train(rank, arguments)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, tiny_people: dict[str, Path]) -> Path:
    output = tmp_path_factory.mktemp("alone")
    together(1, train_exactly, words(output, tiny_people["sysu"]))
    return output


@pytest.mark.parametrize("world", [2, 3])
def test_a_shared_training_is_the_training_of_one_process(
    world: int, alone: Path, tmp_path: Path, tiny_people: dict[str, Path]
) -> None:
    together(world, train, words(tmp_path, tiny_people["sysu"], "encoder.bn=sync"))
    one, many = lines(alone), lines(tmp_path)
    assert [line["epoch"] for line in many] == list(range(EPOCHS))
    assert many[0]["clusters"] == one[0]["clusters"]
    for first, second in zip(one, many, strict=True):
        assert second["losses"] == pytest.approx(first["losses"], rel=1e-3)
    assert many[0]["losses"] == pytest.approx(one[0]["losses"], rel=1e-6), "before the first step of Adam"
    weights = [
        torch.load(stage(path) / f"epoch_{EPOCHS - 1:04d}.pt")["models"]["student"] for path in (alone, tmp_path)
    ]
    for name, value in weights[0].items():
        if value.is_floating_point():  # Adam's first steps are as long for a tiny gradient as for a large one
            assert (weights[1][name] - value).abs().mean() < 1e-4, name
    (record,) = tmp_path.glob("sysu_all/*/record.json")
    provenance = json.loads(record.read_text())["provenance"]
    assert provenance["processes"] == world
    assert provenance["global_batch"] == 12


def test_a_lost_process_ends_the_run_and_leaves_a_checkpoint(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    arguments = words(tmp_path, tiny_people["sysu"], "train.epochs=200", "engine.timeout=300")
    with launch(2, train, arguments, tmp_path) as (leader, other):
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("stages/*/epoch_*.pt")):
            assert leader.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        other.kill()
        leader.join(300)
        assert leader.exitcode == 1
    told = (tmp_path / "0.txt").read_text()
    assert "process 0 of 2 lost the connection" in told
    assert "--resume" in told
    newest = load(max(stage(tmp_path).glob("epoch_*.pt")))
    assert newest.epochs >= 1
    assert newest.journal.length == (stage(tmp_path) / "journal.jsonl").stat().st_size


def test_rank_and_world_size_come_from_torchrun_or_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    assert process_info() == ProcessInfo()
    for name, value in {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="MASTER_ADDR and MASTER_PORT"):
        process_info()
    monkeypatch.setenv("MASTER_ADDR", "somewhere")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert process_info() == ProcessInfo(rank=5, world_size=8, local_rank=1)
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert process_info() == ProcessInfo(rank=1, world_size=2, local_rank=1)
    assert main(["pretrain"]) == 2
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    assert process_info() == ProcessInfo()


@pytest.mark.parametrize(("policy", "groups"), [("sync", 1), ("per_gpu", 2), ("groups=4", 4)])
def test_a_batch_norm_policy_is_a_number_of_parts(policy: str, groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in meeting.items():
        monkeypatch.setenv(name, value)
    config = load_config("pgm", "sysu_all", profile="sysu", settings=parse_settings([f"encoder.bn={policy}"]))
    assert config.encoder.bn_groups == groups
    with pytest.raises(UsageError, match=r"encoder\.bn=shared"):
        load_config("pgm", "sysu_all", profile="sysu", settings=parse_settings(["encoder.bn=shared"]))


def test_a_step_without_gradients_exchanges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collectives, "world_size", lambda: 2)
    collectives.all_reduce_gradients([None, None])


def test_the_short_schedule_has_full_batches() -> None:
    short, full = (
        load_config("pgm", "sysu_all", profile=profile, schedule=schedule)
        for profile, schedule in (("synthetic_sysu", "full_short"), ("sysu", None))
    )
    assert short.data == full.data
    assert short.encoder.name == full.encoder.name
    assert (short.train.visible_clusters, short.train.instances) == (full.train.visible_clusters, full.train.instances)
    assert short.train.epochs * short.train.iterations < 1000
    with pytest.raises(UsageError, match="full_short"):
        load_config("pgm", "sysu_all", profile="sysu", schedule="full_shrt")
