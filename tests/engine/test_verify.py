"""``verify``: the first epoch of a released form against a log; a stand-in takes the place of real images."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import DATASETS, METHODS
from usvi_bench.datasets.tree import SYNTHETIC_NOTE
from usvi_bench.engine import verify as module
from usvi_bench.engine.describe import released_form
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.log_anchors import Comparison, LogAnchor, compare, find_anchor, read_anchors
from usvi_bench.engine.stages import train_stages
from usvi_bench.engine.verify import EpochDisplay, find_experiment, verify

SETTINGS = {
    **{"method.form": "released", "data.folds": "1", "data.check_counts": False, "encoder.name": "small"},
    **{"data.height": 32, "data.width": 16, "engine.threads": 1, "train.iterations": 20},
}


@pytest.fixture(scope="module")
def stand_in(tiny_people: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that looks like real images, because its note about the generator is missing."""
    root = tmp_path_factory.mktemp("real") / "sysu"
    shutil.copytree(tiny_people["sysu"], root)
    (root / SYNTHETIC_NOTE).unlink()
    return root


def training(root: Path) -> Experiment:
    return Experiment(
        *("pgm", "sysu_all", str(root)), settings=SETTINGS, setting="paper", schedule="quick", weights="random"
    )


def anchor_of(display: EpochDisplay) -> LogAnchor:
    losses = {str(step): round(mean, 3) for step, mean in display.losses.items()}
    return LogAnchor("pgm", "sysu", 1, ("",), display.entry["clusters"], losses, "a log")


def test_the_epoch_is_the_first_one_of_the_whole_training(stand_in: Path, tmp_path: Path) -> None:
    experiment, display = training(stand_in), EpochDisplay(quiet=True)
    nothing = LogAnchor("pgm", "sysu", 1, (), {}, {}, "")
    assert verify(experiment, nothing, display) == []
    assert list(display.losses) == [10, 20]
    whole = replace(experiment, output=tmp_path).prepare()
    whole.plans = {1: whole.plans[1][:1]}
    train_stages(whole, 1, lambda plan: lambda method, epoch: [])
    journal = whole.plans[1][0].journal.path
    first = json.loads(journal.read_text().splitlines()[0])
    assert (first["kind"], first["epochs"] > 1) == ("epoch", True)
    for name in ("clusters", "outliers", "losses"):
        assert display.entry[name] == first[name]
    assert sum(first["losses"].values()) == pytest.approx(display.losses[20])

    assert all(found.within for found in compare(anchor_of(display), display.entry["clusters"], display.losses))


def test_the_command_prints_a_line_for_each_number_and_keeps_nothing(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    display = EpochDisplay(quiet=True)
    verify(training(stand_in), LogAnchor("pgm", "sysu", 1, (), {}, {}, ""), display)
    good = anchor_of(display)
    bad = replace(good, losses={"10": 2 * good.losses["10"]})
    for anchor, verdict, status in ((good, "agrees", 0), (bad, "DIFFERS", 1)):
        monkeypatch.setattr(module, "find_experiment", lambda *_: (training(stand_in), anchor))  # noqa: B023
        try:
            found: Any = main(["verify", "pgm", "--data", str(stand_in)])
        except SystemExit as error:
            found = error.code
        out = capsys.readouterr().out
        assert found == status
        assert "log: a log" in out
        assert f"at most 5 %): {verdict}" in next(line for line in out.splitlines() if "mean loss over 10" in line)
    assert not list(tmp_path.iterdir())


def test_wrong_requests_are_answered_before_any_work(
    stand_in: Path, tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def message(method: str = "pgm", data: Path | str = stand_in, weights: Path | None = None, **options: Any) -> str:
        with pytest.raises(UsageError) as caught:
            find_experiment(method, "sysu_all", str(data), None if weights is None else str(weights), **options)
        return str(caught.value)

    monkeypatch.setattr(Experiment, "prepare", None)
    assert "synthetic people have no anchor" in message(data=tiny_people["sysu"])
    assert "synthetic people have no anchor" in message(data="synthetic")
    assert "the log starts from ImageNet weights: give --weights torchvision's resnet50-19c8e357.pth" in message()
    assert "ImageNet weights" in message(weights=tmp_path / "absent.pth")
    other = tmp_path / "resnet50-19c8e357.pth"
    other.write_bytes(b"other")
    assert "its sha256 begins with d9298a10, not 19c8e357" in message(weights=other)
    assert "'cluster_contrast' has no released form" in message("cluster_contrast")
    assert "no released log is known for 'hil' on SYSU-MM01" in message("hil")
    assert "choose one of pgm on SYSU-MM01, pgm on RegDB" in message("hil")
    assert "--set train.lr: this setting must be that of the released log" in message(settings={"train.lr": "1"})


def test_the_training_of_an_anchor_is_the_released_one(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"other")
    made = [replace(anchor, weights=("d9298a10",)) for anchor in read_anchors()]
    monkeypatch.setattr(module, "read_anchors", lambda: made)
    experiment, anchor = find_experiment("pgm", "sysu_all", str(stand_in), str(weights), settings={"engine.threads": 2})
    assert (experiment.setting, experiment.weights, anchor.fold) == ("paper", str(weights), 1)
    assert experiment.settings == {"engine.threads": 2, "method.form": "released", "data.folds": "1"}


def test_anchors_are_facts_of_methods_with_a_released_form() -> None:
    anchors = read_anchors()
    assert len({(anchor.method, anchor.data) for anchor in anchors}) == len(anchors)
    for anchor in anchors:
        assert released_form(METHODS.get(anchor.method)) is not None
        assert DATASETS.get(anchor.data).title
        assert all(len(digits) == 8 for digits in anchor.weights)
        assert "@" in anchor.source
        assert all(int(step) % 10 == 0 for step in anchor.losses)
    pgm = find_anchor(anchors, "pgm", "sysu")
    assert (pgm.clusters, pgm.losses["10"]) == ({"infrared": 444, "visible": 898}, 12.385)


def test_a_number_is_compared_by_its_relative_deviation() -> None:
    assert Comparison("x", 105, 100, 0.05).within
    assert not Comparison("x", 94.9, 100, 0.05).within
    assert Comparison("x", 94.0, 100, 0.05).sentence == "x: 94, in the log 100 (-6.0 %, at most 5 %): DIFFERS"
