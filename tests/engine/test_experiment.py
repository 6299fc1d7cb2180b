"""Experiments in three forms: values, options of ``run.py``, and records to repeat."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.leaderboard.records import make_record
from usvi_bench.cli.train import experiment_of, parser
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.registry import DATASETS
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.synthetic.spec import SyntheticSpec, parse

SPEC = SyntheticSpec(size="tiny", mismatch=0.5)


def record(**provenance: Any) -> Record:
    data = {"name": "sysu", "fingerprint": "", "synthetic": {"spec": asdict(SPEC)}, "knobs": {"mismatch": 0.5}}
    data["description"] = ""
    return make_record("pgm", 3, dataset=data, provenance=provenance)


FULL = Experiment(
    "pgm",
    "sysu_all",
    data="synthetic:size=tiny",
    seed=3,
    settings={"method.k1": 5, "data.folds": (1, 2), "train.lr": 0.001, "data.check_counts": False},
    setting="paper",
    schedule="full_short",
    weights="random",
    device="cpu",
    output=Path("there"),
    deterministic=True,
)


def test_options_give_the_experiment_again() -> None:
    again = experiment_of(parser().parse_args(FULL.words()))
    assert again.settings == {"method.k1": "5", "data.folds": "1,2", "train.lr": "0.001", "data.check_counts": "False"}
    assert {**asdict(again), "settings": {}} == {**asdict(FULL), "settings": {}}


def test_options_at_their_default_are_left_out() -> None:
    assert Experiment("pgm", "sysu_all").words() == ["--method", "pgm", "--protocol", "sysu_all"]


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    given = {"a": np.int64(3), "b": np.float32(0.5), "c": torch.tensor(2), "d": (np.int64(1), 2), "e": Path("x")}
    settings = Experiment("pgm", "sysu_all", settings=given).settings
    assert json.loads(json.dumps(settings)) == {"a": 3, "b": 0.5, "c": 2, "d": [1, 2], "e": "x"}
    assert [type(value) for value in settings.values()] == [int, float, int, list, str]


def test_nested_settings_have_dotted_names() -> None:
    found = Experiment("pgm", "sysu_all", settings={"train": {"epochs": np.int64(3), "lr": 0.1}, "method.k1": 5})
    assert found.settings == {"train.epochs": 3, "train.lr": 0.1, "method.k1": 5}


@pytest.mark.parametrize("seed", ["0", 0.0, True, None, -1])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(UsageError, match="expected a whole number"):
        Experiment("pgm", "sysu_all", seed=seed)
    assert type(Experiment("pgm", "sysu_all", seed=np.int64(3)).seed) is int  # type: ignore[arg-type]


@pytest.mark.parametrize("folds", [None, {1, 2}, range(2), 2.5])
def test_a_setting_of_another_kind_is_named(folds: Any) -> None:
    with pytest.raises(UsageError, match=r"data\.folds"):
        Experiment("pgm", "regdb_v2i", data="synthetic:size=tiny", settings={"data.folds": folds}).prepare()


def test_json_gives_the_experiment_again() -> None:
    again = Experiment.from_json(json.loads(json.dumps(FULL.to_json())))
    assert {**asdict(again), "settings": {}} == {**asdict(FULL), "settings": {}}
    assert again.words() == FULL.words()


@pytest.mark.parametrize(
    ("provenance", "settings"),
    [
        ({}, {"engine.threads": 2}),
        (
            {"overrides": {"settings": {"engine.threads": "1", "method.k1": "5"}}},
            {"engine.threads": "1", "method.k1": "5"},
        ),
        (
            {"overrides": {"settings": {"method.k1": "5"}}, "deterministic": True},
            {"engine.threads": 2, "method.k1": "5"},
        ),
    ],
)
def test_a_record_is_repeated_with_its_settings_threads_and_device(
    provenance: dict[str, Any], settings: dict[str, Any]
) -> None:
    found = recorded_experiment(record(**provenance))
    assert found.settings == settings
    assert (found.method, found.seed, found.device) == ("pgm", 3, "cpu")
    assert found.deterministic == provenance.get("deterministic", False)
    assert parse(found.data) == SPEC
    assert recorded_experiment(record(gpu="a GPU")).device == "cuda"
    assert recorded_experiment(make_record(real=True)).data == "DIR"


def test_a_mistake_is_found_before_any_image_is_read() -> None:
    def opened(*_: object, **__: object) -> Any:
        raise AssertionError("the data set was opened")

    for changed, message in (
        ({"settings": {"train.epoch": 3}}, "did you mean train.epochs"),
        ({"setting": "papers"}, "did you mean paper"),
        ({"data": "synthetic:sise=tiny"}, "did you mean size"),
    ):
        with pytest.raises(UsageError, match=message):
            Experiment(**{"method": "pgm", "protocol": "sysu_all", "data": "synthetic", **changed}).prepare(
                opener=opened
            )


@pytest.mark.parametrize("search", ["faiss", "approximate"])
def test_a_search_whose_library_is_missing_is_refused_before_data_is_opened(
    search: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    settings = {"method.search": search}
    experiment = Experiment("pgm", "sysu_all", data="synthetic:size=tiny", settings=settings, output=tmp_path / "runs")
    with pytest.raises(UsageError, match=rf"method.search={search} needs faiss.*\.\[cpu\]"):
        experiment.prepare(opener=lambda *_, **__: pytest.fail("the data was opened"))
    assert not (tmp_path / "runs").exists()


def test_a_data_set_that_trains_on_test_images_is_refused(
    tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The readers of the suite refuse such lists themselves; a reader of a plug-in may not."""
    reader = DATASETS.get("sysu")
    monkeypatch.setattr(reader, "test", reader.train)
    with pytest.raises(UsageError, match=r"sysu: fold 1 trains and tests on .* visible images, such as cam1/"):
        Experiment("pgm", "sysu_all", str(tiny_people["sysu"]), device="cpu").prepare()


def test_a_record_with_a_former_default_is_repeated_with_it() -> None:
    former = make_record("hil", 0, config={"method": {"instance_momentum": 0.25, "tau": 0.5}})
    assert recorded_experiment(former).settings["method.instance_momentum"] == 0.25
    for value in (None, 0.9):  # the present default, and a value that the overrides of a real record have
        other = make_record("hil", 0, config={"method": {"instance_momentum": value, "tau": 0.5}})
        assert "method.instance_momentum" not in recorded_experiment(other).settings
    record = read_record(FOLDER / "records" / "sysu_all" / "hil-seed0.json")
    experiment = recorded_experiment(record)
    config = load_config(experiment.method, experiment.protocol, profile="synthetic_sysu", settings=experiment.settings)
    config = config.resolve(0, torch.device("cpu"))
    assert config.hash(record.result.start_weights["sha256"] or "random") == record.result.config_hash
