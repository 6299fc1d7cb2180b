"""Trainings with donors on real images: pixels, keys, records, tables, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.datasets.test_unpaired import write_people
from tests.datasets.trees import write_regdb, write_sysu
from usvi_bench.api import run_experiment
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record
from usvi_bench.datasets.cache import decoded
from usvi_bench.datasets.people_folder import PeopleFolder
from usvi_bench.engine.display import Display
from usvi_bench.engine.dry_run import describe_run
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.leaderboard.board import board_table
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.report import _summary

SETTINGS = {
    "data.height": 32,
    "data.width": 16,
    "data.check_counts": False,
    "data.foreign": 0.5,
    "train.iterations": 2,
    "train.visible_clusters": 1,
    "train.infrared_clusters": 1,
    "engine.threads": 1,
    "encoder.name": "small",
    "encoder.width": 8,
}

CLUSTERING = {"method.k1": 4, "method.min_samples": 1}


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    root = tmp_path_factory.mktemp("unpaired")
    write_sysu(root / "sysu", images=3)
    write_regdb(root / "regdb", people=8, folds=2, images=4)
    write_people(root / "people")
    return root


def experiment(place: Path, **changes: object) -> Experiment:
    known = {
        "method": "cluster_contrast",
        "protocol": "sysu_all",
        "data": str(place / "sysu"),
        "donors": str(place / "people"),
        "weights": "random",
        "schedule": "quick",
        "settings": {**CLUSTERING, **SETTINGS, **changes.pop("settings", {})},  # type: ignore[dict-item]
        "device": "cpu",
        "output": place / "runs",
    }
    return Experiment(**{**known, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def record(place: Path) -> Record:
    display = Display(quiet=True)
    made, _ = run_experiment(experiment(place), resume=False, overwrite=False, report=False, display=display)
    assert made is not None
    return made


def test_the_method_receives_the_pixels_of_the_donors(place: Path) -> None:
    run = experiment(place).prepare()
    table = run.trained_on.train().visible
    order = np.random.default_rng(0).permutation(len(table))
    given = run.training_images.training_images(table, order)
    own, donors = run.dataset, PeopleFolder(place / "people")
    size = (32, 16, "bicubic")
    albums = [decoded(table.own, *size, own.fingerprint), decoded(table.donors, *size, donors.fingerprint)]  # type: ignore[arg-type]
    expected = albums[0].copy()
    for row, pick in zip(table.rows.tolist(), table.picks.tolist(), strict=True):
        expected[row] = albums[1][pick]
    assert len(table.rows)
    assert torch.equal(given.pixels, torch.from_numpy(expected[order]))
    assert torch.equal(given.cameras, torch.from_numpy(table.own.cameras[order]))


def test_the_record_names_the_donors_and_is_consistent(place: Path, record: Record) -> None:
    donors = record.result.donors
    assert donors is not None
    assert donors["fingerprint"] == PeopleFolder(place / "people").fingerprint
    assert donors["repeated"] > 0
    assert record.result.config["data"]["foreign"] == 0.5
    (path,) = (place / "runs/sysu_all").glob("*/record.json")
    assert read_record(path) == record
    assert [fault for fault in faults(record) if "start_weights" not in fault] == []
    assert any("Visible images of 50% of the training people are replaced" in line for line in _summary(record))


def test_share_seed_and_donors_are_in_the_key(place: Path, record: Record) -> None:
    keys = set()
    for settings in ({}, {"data.foreign": 1.0}, {"data.foreign_seed": 1}):
        keys.add(experiment(place, settings=settings).prepare().every_plan[0].key)
    keys.add(experiment(place, donors=None, settings={"data.foreign": 0.0}).prepare().every_plan[0].key)
    keys.add(experiment(place, donors=str(place / "regdb")).prepare().every_plan[0].key)
    assert len(keys) == 5
    again = experiment(place).prepare()
    assert all(plan.finished for plan in again.every_plan)
    (images,) = [line for line in describe_run(experiment(place)) if line.startswith("decoded images")]
    assert images.endswith(" from the cache, 0 to decode")


def test_every_fold_of_regdb_trains_on_its_own_donors(place: Path) -> None:
    run = experiment(place, protocol="regdb_v2i", data=str(place / "regdb")).prepare()
    assert sorted(run.plans) == [1, 2]
    assert run.scored_by(2) == (2,)
    tables = [run.trained_on.train(fold).visible for fold in (1, 2)]
    assert tables[0].paths != tables[1].paths


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "0" * 16}, "provenance.stages: the keys are not those"),
        ({"fingerprint": "x"}, "result.donors.fingerprint: 'x' is not the form of real images"),
        ({"name": "nothing"}, "result.donors.name: unknown data set 'nothing'"),
        ({"name": "regdb"}, "result.donors.description"),
        ({"repeated": 1.5}, "result.donors.repeated: 1.5 is not a share"),
        ({"more": 1}, "result.donors.more: unknown field"),
        (None, "result.donors: missing, but config.data.foreign is 0.5"),
    ],
)
def test_changed_donors_are_a_fault(record: Record, change: dict[str, object] | None, message: str) -> None:
    donors = None if change is None else {**record.result.donors, **change}  # type: ignore[dict-item]
    changed = dataclasses.replace(record, result=dataclasses.replace(record.result, donors=donors))
    assert any(message in fault for fault in faults(changed))


def test_records_with_donors_have_a_table_of_their_own(record: Record) -> None:
    alone = dataclasses.replace(record, result=dataclasses.replace(record.result, donors=None))
    tables = score_tables({"a.json": record, "b.json": alone})
    (other,) = [table for table in tables if table.key.donors]
    assert len(tables) == 2
    assert other.title.endswith("people replaced")
    assert "people of a folder of people" in other.data
    assert len({board_table(table, ()).name for table in tables}) == 2


def test_an_experiment_is_rebuilt_from_its_record(place: Path, record: Record) -> None:
    again = recorded_experiment(record)
    assert (again.data, again.donors, again.settings["data.foreign"]) == ("DIR", "DONORS_DIR", 0.5)
    assert "--donors" in again.words()
    assert Experiment.from_json(experiment(place).to_json()) == experiment(place)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"donors": None}, "data.foreign=0.5: give the people whose images are used with --donors"),
        ({"settings": {"data.foreign": 0.0}}, "--donors: state the share of people to replace"),
        ({"settings": {"data.foreign": 1.5}}, "data.foreign=1.5 must be from 0 to 1"),
        ({"donors": "auto"}, "--donors auto: name the data set"),
        ({"donors": "nowhere"}, "--donors nowhere: no such folder or table"),
        ({"donors": "SYSU"}, "--donors and --data are the same images"),
        ({"train_data": "SYSU"}, "leave out --train-data"),
        ({"data": "synthetic:size=tiny", "donors": "synthetic:size=tiny,pose=0.5"}, "synthetic people of one seed"),
    ],
)
def test_what_is_refused(place: Path, changes: dict[str, object], message: str) -> None:
    changes = {name: str(place / "sysu") if value == "SYSU" else value for name, value in changes.items()}
    with pytest.raises(UsageError, match=message):
        experiment(place, **changes).prepare()


def test_a_method_without_training_takes_no_donors(place: Path) -> None:
    with pytest.raises(UsageError, match="'untrained' trains nothing; leave out --donors"):
        dataclasses.replace(experiment(place), method="untrained", settings=SETTINGS).prepare()


def test_images_of_the_data_set_are_no_donors(place: Path, tmp_path: Path) -> None:
    people = write_people(tmp_path / "people")
    (people / "p0" / "link.jpg").symlink_to(place / "sysu/cam1/0001/0001.jpg")
    with pytest.raises(UsageError, match=r"--donors: .*0001\.jpg is an image of --data; give images of other people"):
        experiment(place, donors=str(people)).prepare()


def test_many_repeated_images_are_a_warning(place: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    display = Display(quiet=True)
    display.print = lines.append  # type: ignore[method-assign,assignment]
    for number, images in enumerate((1, 12)):
        folder = write_people(tmp_path / str(images), images=images)
        experiment(place, donors=str(folder), settings={"data.foreign": 1.0}).prepare(display)
        said = [line for line in lines if "people are replaced" in line]
        assert len(said) == number + 1
        assert ("give donors with more images" in said[-1]) == (images == 1)
