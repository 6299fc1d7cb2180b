"""Trackers: what they store, steps over resumes, and that they change no result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from usvi_bench import api
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.journal import Journal
from usvi_bench.core.metrics import METRICS
from usvi_bench.datasets.open import DataSource
from usvi_bench.engine import trackers
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.trackers import TRACKERS, Tracker
from usvi_bench.engine.training import StageTraining
from usvi_bench.sweep.grid import Row
from usvi_bench.sweep.planning import plan_grid
from usvi_bench.sweep.worker import run_job

SETTINGS = {"train.iterations": 3, "encoder.width": 8, "engine.threads": 1, "evaluate_every": 2}
STEPS = [3, 6, 9, 12, 13]
"""Steps of two stages of two epochs of three steps each, then of the final scores."""
NO_EXTRA = "needs the extra '{}', which the checks do not install"
VARYING = ("seconds/", "memory_mib")


class Memory(Tracker):
    """Tracker that keeps what it receives; one list for each start."""

    starts: ClassVar[list[list[tuple[int, dict[str, float]]]]] = []
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        Memory.starts.append([])
        Memory.settings = settings

    def log(self, step: int, values: Mapping[str, float]) -> None:
        start = Memory.starts[-1]
        if start and start[-1][0] == step:  # the scores of the epoch
            assert not set(start[-1][1]) & set(values)
            start[-1][1].update(values)
        else:
            start.append((step, dict(values)))

    def close(self) -> None:
        pass


class Failing(Memory):
    """Tracker whose second step fails."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step > 3:
            raise OSError("no space\nleft")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> type[Memory]:
    monkeypatch.setattr(Memory, "starts", [])
    monkeypatch.setitem(TRACKERS, "memory", Memory)
    monkeypatch.setitem(TRACKERS, "failing", Failing)
    return Memory


def run(people: Path, output: Path, *track: str, resume: bool = False, verbose: bool = False) -> dict[str, Any]:
    """Run PGM and return everything that may not depend on trackers: result, options, journals."""
    api.run(
        "pgm",
        "sysu_all",
        people,
        settings=SETTINGS,
        schedule="quick",
        output=output,
        track=track,
        resume=resume,
        verbose=verbose,
    )
    lines = [line for path in sorted(output.glob("stages/*/journal.jsonl")) for line in Journal(path).read()]
    for line in lines:
        for name in ("seconds", "peak_memory_mib", "clustering"):
            line.pop(name, None)
    (path,) = output.glob("sysu_all/*/record.json")
    content = json.loads(path.read_text())
    kept = {name: content["provenance"][name] for name in ("overrides", "threads", "global_batch", "numerics")}

    names = sorted(content["provenance"])
    return {"folder": path.parent.name, "result": content["result"], **kept, "lines": lines, "names": names}


def interrupted(people: Path, output: Path, track: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run, stop before the last checkpoint of the second stage is saved, and resume."""
    save: Callable[[StageTraining, int], None] = StageTraining._save

    def stop(self: StageTraining, epochs: int) -> None:
        if self.plan.position == 1 and epochs == 2:
            raise KeyboardInterrupt
        save(self, epochs)

    with monkeypatch.context() as patch:
        patch.setattr(StageTraining, "_save", stop)
        with pytest.raises(KeyboardInterrupt):
            run(people, output, track)
    return run(people, output, track, resume=True)


@pytest.fixture(scope="module")
def plain(tiny_people: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tiny_people["sysu"], tmp_path_factory.mktemp("plain"))


def test_a_tracker_changes_no_result(
    plain: dict[str, Any], tiny_people: dict[str, Path], tmp_path: Path, memory: type[Memory]
) -> None:
    assert run(tiny_people["sysu"], tmp_path, "memory") == plain
    (start,) = memory.starts
    assert [step for step, _ in start] == STEPS
    first, *_, last_epoch, final = (values for _, values in start)
    line = plain["lines"][0]
    assert first["losses/visible"] == line["losses"]["visible"]
    assert first["clusters/infrared"] == line["clusters"]["infrared"]
    assert first["quality/visible/ari"] == line["quality"]["visible"]["ari"]
    assert "scores/student/mAP" not in first
    assert last_epoch["scores/student/mAP"] == plain["lines"][-1]["metrics"]["mAP"]
    scores = [entry["metrics"]["mAP"] for entry in plain["result"]["scores"] if entry["selection"] == "last"]
    assert final["final/mAP"] == pytest.approx(sum(scores) / len(scores))
    assert memory.settings["train.iterations"] == 3
    assert memory.settings["method_name"] == "pgm"


def test_a_resumed_run_sends_every_step_once(
    plain: dict[str, Any],
    tiny_people: dict[str, Path],
    tmp_path: Path,
    memory: type[Memory],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(tiny_people["sysu"], tmp_path / "whole", "memory")
    interrupted(tiny_people["sysu"], tmp_path / "parts", "memory", monkeypatch)
    whole, first, second = ([(step, fixed(values)) for step, values in start] for start in memory.starts)
    assert [step for step, _ in first] == STEPS[:4], "the last epoch was tracked, but its checkpoint was not saved"
    assert second == whole
    run(tiny_people["sysu"], tmp_path / "whole", "memory")
    assert [(step, fixed(values)) for step, values in memory.starts[-1]] == whole, "a finished training is sent again"


def fixed(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not name.startswith(VARYING)}


def test_a_tracker_that_fails_is_dropped(
    plain: dict[str, Any],
    tiny_people: dict[str, Path],
    tmp_path: Path,
    memory: type[Memory],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(tiny_people["sysu"], tmp_path, "failing", verbose=True) == plain
    text = "tracking with failing ended (OSError: no space left); the run continues without"
    assert capsys.readouterr().out.count(text) == 1


def test_a_refused_second_start_opens_no_tracker(
    tiny_people: dict[str, Path], tmp_path: Path, memory: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(plan: object, wait: bool) -> None:
        raise UsageError("another process is training")

    monkeypatch.setattr("usvi_bench.engine.stages.hold_stage", refuse)
    with pytest.raises(UsageError, match="another process"):
        run(tiny_people["sysu"], tmp_path, "memory")
    assert not memory.starts


def test_a_tracker_that_is_missing_or_unknown_stops_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers.WandbTracker, "modules", ("no_such_module",))
    for name, text in (("wandb", r"pip install 'usvi-bench\[wandb\]'"), ("wand", "wandb")):
        with pytest.raises(UsageError, match=text):
            api.run("pgm", "sysu_all", "/nowhere", output=tmp_path / "runs", track=[name])
    assert not list(tmp_path.iterdir())


def test_tensorboard_has_every_step_once(
    plain: dict[str, Any], tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason=NO_EXTRA.format("tensorboard"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert interrupted(tiny_people["sysu"], tmp_path, "tensorboard", monkeypatch) == plain
    (folder,) = (tmp_path / "tracking" / "tensorboard").iterdir()
    found = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in found.Scalars("losses/visible")] == STEPS[:-1]
    assert [event.step for event in found.Scalars("final/mAP")] == STEPS[-1:]
    epochs = [line for line in plain["lines"] if line["kind"] == "epoch"]
    values = [event.value for event in found.Scalars("losses/visible")]
    assert values == pytest.approx([line["losses"]["visible"] for line in epochs])
    assert "_hparams_/session_start_info" in found.PluginTagToContent("hparams")


def records(content: bytes) -> list[bytes]:
    """Split a file of W&B, a log of LevelDB: blocks of 32 KiB, pieces with checksum, length and type; 7 bytes first."""
    found, at = [b""], 7
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        found[-1] += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last piece
            found.append(b"")
    return found[:-1]


def test_wandb_is_offline_and_has_every_step_once(
    plain: dict[str, Any], tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason=NO_EXTRA.format("wandb"))
    from wandb.proto import wandb_internal_pb2

    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert interrupted(tiny_people["sysu"], tmp_path, "wandb", monkeypatch) == plain
    (path,) = (tmp_path / "tracking" / "wandb").glob("offline-run-*/run-*.wandb")
    steps, config = [], {}
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            steps.append(int(items["_step"]))
        elif record.WhichOneof("record_type") == "run":
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    assert steps == STEPS
    assert config["train.iterations"] == 3


def test_mlflow_has_every_step_once(
    plain: dict[str, Any], tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason=NO_EXTRA.format("mlflow"))
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert interrupted(tiny_people["sysu"], tmp_path, "mlflow", monkeypatch) == plain
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'tracking' / 'mlflow.db'}")
    (experiment,) = [item for item in client.search_experiments() if item.name == trackers.PROJECT]
    (kept,) = client.search_runs([experiment.experiment_id])
    history = sorted(client.get_metric_history(kept.info.run_id, "losses/visible"), key=lambda metric: metric.step)
    assert [metric.step for metric in history] == STEPS[:-1]
    assert kept.data.params["train.iterations"] == "3"


def test_a_job_of_an_ablation_is_followed(memory: type[Memory], tiny_people: dict[str, Path], tmp_path: Path) -> None:
    row = Row("all", {})
    options = {"settings": SETTINGS, "schedule": "quick", "device": "cpu", "output": tmp_path}
    base = Experiment("cluster_contrast", "sysu_all", str(tiny_people["sysu"]), **options)  # type: ignore[arg-type]
    grid = plan_grid(base, [row], 1, 1, DataSource.open, track=["memory"])
    (job,) = grid.every_job
    job.prepare()
    run_job(job.folder)
    assert job.done
    (start,) = memory.starts
    assert [step for step, _ in start] == [3, 6, 7]
    assert set(start[-1][1]) == {f"final/{name}" for name in METRICS}


def test_an_unknown_tracker_of_an_ablation_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ablation", "--method", "pgm", "--protocol", "sysu_all", "--track", "tensorbord"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 2
    assert "tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
