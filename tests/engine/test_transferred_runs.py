"""Training on one data set and scoring on another: keys, records, tables, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.own_trees import rows_of, write_folders, write_rows
from usvi_bench.api import run_experiment
from usvi_bench.cli.check import main as check
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record, write_record
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import Dataset, ImageTable, Split
from usvi_bench.datasets.folder import FolderData
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.display import Display
from usvi_bench.engine.dry_run import describe_run
from usvi_bench.engine.evaluation import TableEmbedder, trained_models
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.engine.run import Run
from usvi_bench.engine.transfer import check_transfer
from usvi_bench.leaderboard.__main__ import main as leaderboard
from usvi_bench.leaderboard.board import board_table
from usvi_bench.leaderboard.build import build
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.leaderboard.score_table import score_tables

SETTINGS = {"data.height": 32, "data.width": 16, "train.iterations": 2, "engine.threads": 1}


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two tables of other people."""
    root = tmp_path_factory.mktemp("transfer")
    write_rows(root / "a/list.csv", rows_of(root / "a", range(6), "train") + rows_of(root / "a", [20, 21], "test"))
    write_rows(root / "b/list.csv", rows_of(root / "b", range(10, 14), "test"))
    return root


def experiment(place: Path, **changes: object) -> Experiment:
    known = {
        "method": "cluster_contrast",
        "protocol": "folder_i2v",
        "data": str(place / "b/list.csv"),
        "train_data": str(place / "a/list.csv"),
        "weights": "random",
        "schedule": "quick",
        "settings": SETTINGS,
        "device": "cpu",
        "output": place / "runs",
    }
    return Experiment(**{**known, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def record(place: Path, cache: Path) -> Record:
    display = Display(quiet=True)
    made, _ = run_experiment(experiment(place), resume=False, overwrite=False, report=True, display=display)
    assert made is not None
    return made


def test_the_record_names_both_data_sets(place: Path, record: Record) -> None:
    a, b = (FolderData(place / name / "list.csv") for name in "ab")
    assert record.result.trained_on is not None
    assert record.result.trained_on["fingerprint"] == a.fingerprint
    assert record.result.dataset["fingerprint"] == b.fingerprint
    assert record.complete
    assert faults(record) == []
    (path,) = (place / "runs/folder_i2v").glob("*/record.json")
    assert read_record(path) == record
    assert "Trained on other images" in (path.parent / "report/report.md").read_text()


def test_a_dry_run_names_the_training_data(place: Path, record: Record) -> None:
    lines = list(describe_run(experiment(place)))
    assert "trained on: own images, no published counts" in lines
    assert not [text for text in lines if "without scores" in text]
    write_folders(place / "plain", range(6))
    alone = experiment(place, data=str(place / "plain"), train_data=None)
    lines = list(describe_run(alone))
    assert "training without scores: no infrared image has the split query or test" in lines
    assert not [text for text in lines if "trained on" in text]


def test_a_record_of_one_data_set_has_no_entry_for_training_data(place: Path, record: Record) -> None:
    plain = dataclasses.replace(record, result=dataclasses.replace(record.result, trained_on=None))
    write_record(place / "plain.json", plain)
    assert "trained_on" not in (place / "plain.json").read_text()
    assert any("provenance.stages: the keys are not those" in fault for fault in faults(plain))


def test_the_training_is_that_of_the_first_data_set(place: Path, record: Record) -> None:
    own = experiment(place, data=str(place / "a/list.csv"), train_data=None).prepare()
    run = experiment(place).prepare()
    assert [plan.key for plan in own.every_plan] == [plan.key for plan in run.every_plan]
    assert own.folder != run.folder
    assert all(plan.finished for plan in own.every_plan)


def test_the_scores_are_those_of_its_network_on_the_second(place: Path, record: Record) -> None:
    """The network is loaded by a run on A, and B is scored with it by the protocol itself."""
    own: Run = experiment(place, data=str(place / "a/list.csv"), train_data=None).prepare()
    b = FolderData(place / "b/list.csv")
    other = experiment(place).prepare()
    embed = TableEmbedder(other, trained_models(own, own.plans[1])["student"])
    other.protocol.check(b)
    (score,) = other.protocol.evaluate(embed, b, 1, 1).scores
    assert record.means() == {name: score.metrics[name] for name in record.means()}


def test_records_of_two_data_sets_have_a_table_of_their_own(record: Record) -> None:
    alone = dataclasses.replace(record, result=dataclasses.replace(record.result, trained_on=None))
    tables = score_tables({"a.json": record, "b.json": alone})
    assert len(tables) == 2
    (other,) = [table for table in tables if table.key.trained_on]
    assert other.title == "all, other cameras gallery, shared setting, repaired form, folder -> folder"
    assert "Trained on own images" in other.data
    assert len({board_table(table, ()).name for table in tables}) == 2
    assert "folder -&gt; folder" in build({"a.json": record}) or "folder -> folder" in build({"a.json": record})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "sysu"}, "result.trained_on.description"),
        ({"fingerprint": "0" * 16}, "provenance.stages: the keys are not those"),
        ({"fingerprint": "x"}, "result.trained_on.fingerprint: 'x' is not the form of real images"),
        ({"name": "nothing"}, "result.trained_on.name: unknown data set 'nothing'"),
        ({"knobs": {"pose": 2.0}, "synthetic": {"spec": {"pose": 2.0}}}, "result.trained_on"),
    ],
)
def test_changed_training_data_are_a_fault(record: Record, change: dict[str, object], message: str) -> None:
    trained = {**record.result.trained_on, **change}  # type: ignore[dict-item]
    changed = dataclasses.replace(record, result=dataclasses.replace(record.result, trained_on=trained))
    assert any(message in fault for fault in faults(changed))


def test_an_experiment_is_rebuilt_from_its_record(place: Path, record: Record) -> None:
    again = recorded_experiment(record)
    assert (again.data, again.train_data) == ("DIR", "TRAIN_DIR")
    assert "--train-data" in again.words()
    assert Experiment.from_json(experiment(place).to_json()) == experiment(place)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_data": "auto"}, "--train-data auto: name the data set"),
        ({"train_data": "nowhere"}, "--train-data nowhere: no such folder or table"),
        ({"data": "B", "train_data": "B"}, "are the same images"),
        ({"settings": {**SETTINGS, "evaluate_every": 1}}, "evaluate_every: a training for another data set"),
        ({"method": "untrained"}, "'untrained' trains nothing; leave out --train-data"),
    ],
)
def test_what_is_refused(place: Path, changes: dict[str, object], message: str) -> None:
    changes = {name: str(place / "b/list.csv") if value == "B" else value for name, value in changes.items()}
    with pytest.raises(UsageError, match=message):
        experiment(place, **changes).prepare()


def test_data_that_cannot_be_scored_are_refused_before_the_training(place: Path, tmp_path: Path) -> None:
    write_folders(tmp_path / "named", range(30, 34), 2, named=True)
    write_folders(tmp_path / "unnamed", range(30, 34), 2, split="test")
    for name, why in (("named", "has the split query or test"), ("unnamed", "query image has an identity")):
        message = (
            f"--data cannot be scored by folder_i2v: no infrared (image )?{why}; give images with the split 'test'"
        )
        with pytest.raises(UsageError, match=message):
            experiment(place, data=str(tmp_path / name)).prepare()


def test_people_and_files_of_both_are_refused(place: Path, tmp_path: Path) -> None:
    config = experiment(place).prepare().config
    train = FolderData(place / "a/list.csv")
    same = FolderData(write_folders(tmp_path / "c", [2], named=True, split="test"))
    other = write_folders(tmp_path / "e", [77], named=True, split="test")
    check_transfer(train, FolderData(other), config)
    with pytest.raises(UsageError, match=r"person p2 of --data was seen in training with --train-data \(1 in all\)"):
        check_transfer(train, same, config)
    rows = [
        row | {"split": "test", "identity": f"x{row['identity']}"} for row in rows_of(place / "a", range(6), "train")
    ]
    shared = FolderData(write_rows(place / "a/other.csv", rows))
    with pytest.raises(UsageError, match=r"train-0-0\.png is a training image of --train-data and a test image"):
        check_transfer(train, shared, config)


class People(Dataset):
    """Generated people of a seed, without images."""

    name, folds = "sysu", (1,)

    def __init__(self, seed: int, mark: str) -> None:
        self.synthetic, self.fingerprint = {"spec": {"seed": seed}}, mark

    def train(self, fold: int = 1):  # type: ignore[no-untyped-def]
        return _EMPTY

    test = train


_EMPTY = Split(*(ImageTable(name, Path(), (), np.empty(0, int), np.empty(0, int)) for name in MODALITIES))


def test_generated_people_of_one_seed_are_refused(place: Path) -> None:
    config: RunConfig = experiment(place).prepare().config
    check_transfer(People(1, "a"), People(2, "b"), config)
    with pytest.raises(UsageError, match="synthetic people of one seed, the same people"):
        check_transfer(People(1, "a"), People(1, "b"), config)


def test_records_of_own_images_are_consistent_but_on_no_board(
    place: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = (place / "runs/folder_i2v").glob("*/record.json")
    check([str(made.parent)])  # exits with 1 if there is a fault
    assert "consistent" in capsys.readouterr().out
    records = place / "board/records"
    (records / "folder_i2v").mkdir(parents=True)
    (records / "folder_i2v/mine.json").write_bytes(made.read_bytes())
    for words in ([], ["--check"]):
        assert leaderboard(["--records", str(records), "--output", str(place / "board"), *words]) == 2
        assert "folder_i2v/mine.json: scored on own images, which nobody else can score" in capsys.readouterr().err
    assert sorted(path.name for path in (place / "board").iterdir()) == ["records"]
