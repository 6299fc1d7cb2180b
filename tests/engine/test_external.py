"""Scoring of external models: a released file scores as the released network does, and nothing wrong is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import usvi_bench
from tests.engine.external import SIZE, evaluate, small_weights, write_small_features
from tests.engine.released_network import embed, released_file, released_state
from tests.engine.test_embedding_model import checkpoint
from usvi_bench.components.augment import normalise
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.cache import decoded
from usvi_bench.datasets.unpaired import unpaired_fingerprint
from usvi_bench.engine.start_weights import SHIPPED
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.leaderboard.external_table import external_tables


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def people(tiny_people: dict[str, Path]) -> dict[str, Dataset]:
    return {
        name: usvi_bench.open_data(protocol, tiny_people[name], verbose=False)
        for name, protocol in (("sysu", "sysu_all"), ("regdb", "regdb_v2i"))
    }


def files() -> list[str]:
    return sorted(str(path) for path in Path("runs").rglob("*") if path.is_file())


def test_a_released_file_scores_as_the_released_network(people: dict[str, Dataset]) -> None:
    """The features of the other side are made by the released names alone, from the decoded images."""
    state, dataset = released_state(1, non_local=True), people["sysu"]
    torch.save(released_file(state), "model_best.pth.tar")
    record = evaluate("sysu_all", dataset.root, weights="model_best.pth.tar", claims="PGM @ed4a7df")

    def features(table: ImageTable) -> np.ndarray:
        pixels = torch.tensor(decoded(table, 32, 16, "lanczos", dataset.fingerprint))
        return torch.cat([embed(state, normalise(part), table.modality) for part in pixels.split(50)]).numpy()

    expected = PROTOCOLS.get("sysu_all")().evaluate(features, dataset, 1, 1)
    assert len(record.result.scores) == len(expected.scores) == 10
    for found, other in zip(record.result.scores, expected.scores, strict=True):
        assert found.metrics == pytest.approx(other.metrics, abs=1e-6)
    result = record.result
    assert (result.method, result.setting, result.seed, result.uses_identities) == ("external", "external", 0, False)
    assert result.headline == {
        "model": "student", "selection": "released", "shots": 1, "gallery": "seeded", "feature": "bn+flip",
    }  # fmt: skip
    assert result.config == {
        "data": {"folds": [], "check_counts": True, "height": 32, "width": 16},
        "encoder": {"name": "resnet50", "bn_groups": 1, "non_local": True},
        "protocol": {"shots": 1, "gallery": "seeded", "corrupt": "visible", "corrupt_at": "resized"},
        "scoring": {"filter": "lanczos", "mirror": True},
    }
    assert result.external is not None
    assert (result.external.claims, result.external.kind) == ("PGM @ed4a7df", "checkpoint")
    assert result.start_weights["source"] == result.external.files[0].source == "model_best.pth.tar"
    (path,) = files()
    assert read_record(path) == record
    assert faults(record) == []
    assert str(Path.cwd()) not in Path(path).read_text()


def test_features_of_the_same_network_have_the_same_scores(people: dict[str, Dataset]) -> None:
    weights = evaluate("sysu_indoor", people["sysu"].root, weights=small_weights(Path()))
    write_small_features(Path("f.npz"), people["sysu"])
    record = evaluate("sysu_indoor", people["sysu"].root, features="f.npz", claims="ours")
    assert [score.metrics for score in record.result.scores] == [score.metrics for score in weights.result.scores]
    assert record.result.chance == weights.result.chance
    assert record.result.config_hash != weights.result.config_hash
    assert record.result.headline["feature"] == "given"
    assert record.result.external is not None
    assert (record.result.external.kind, record.result.external.container) == ("features", None)
    assert [faults(each) for each in (record, weights)] == [[], []]


def test_without_the_mirror_image_the_scores_are_others_and_say_so(people: dict[str, Dataset]) -> None:
    path = small_weights(Path())
    both = [evaluate("sysu_all", people["sysu"].root, weights=path, feature=name) for name in ("bn+flip", "bn")]
    assert both[0].means() != both[1].means()
    assert [record.result.headline["feature"] for record in both] == ["bn+flip", "bn"]
    assert [record.result.config["scoring"]["mirror"] for record in both] == [True, False]
    assert len(files()) == 2
    assert [faults(record) for record in both] == [[], []]


def test_a_model_of_one_fold_is_an_incomplete_record_and_several_files_are_one(people: dict[str, Dataset]) -> None:
    dataset = people["regdb"]
    paths = [small_weights(Path(), seed, f"{seed}.pth") for seed in range(len(dataset.folds))]
    one = evaluate("regdb_v2i", dataset.root, weights=paths[1], fold=2)
    assert not one.complete
    assert one.result.config["data"]["folds"] == [2]
    whole = evaluate("regdb_v2i", dataset.root, weights=paths, fold=list(dataset.folds))
    assert whole.complete
    assert whole.result.config["data"]["folds"] == []
    assert whole.result.start_weights["source"] == f"{len(paths)} files"
    second = [score.metrics for score in whole.result.scores if score.fold == 2]
    assert second == [score.metrics for score in one.result.scores]
    assert [faults(record) for record in (one, whole)] == [[], []]


def test_a_checkpoint_and_the_folder_of_a_run_are_scored(people: dict[str, Dataset]) -> None:
    root = people["sysu"].root
    short = {**SIZE, "train.epochs": 1, "train.iterations": 1}
    run = usvi_bench.run("supervised", "sysu_all", root, settings=short, device="cpu", verbose=False)
    folder = next(path for path in Path("runs/sysu_all").iterdir() if path.name.startswith("supervised"))
    record = usvi_bench.evaluate("sysu_all", root, weights=folder, settings={"engine.threads": 1}, verbose=False)
    assert [score.metrics for score in record.result.scores] == [score.metrics for score in run.result.scores]
    assert record.result.config["data"] == {"folds": [], "check_counts": True, "height": 32, "width": 16}
    assert record.result.external is not None
    assert (record.result.external.container, record.result.external.network) == ("training", "student")
    (file,) = (folder / "checkpoints").iterdir()
    again = evaluate("sysu_all", root, weights=file)
    assert again.result == record.result
    assert faults(record) == []
    other = evaluate("regdb_v2i", people["regdb"].root, weights=folder, fold=2)  # one model scores any fold
    assert {score.fold for score in other.result.scores} == {2}
    with pytest.raises(UsageError, match=r"data\.height=64: the run has 32"):
        usvi_bench.evaluate("sysu_all", root, weights=folder, settings={"data.height": 64}, verbose=False)


def test_a_checkpoint_of_these_images_keeps_its_fold(people: dict[str, Dataset]) -> None:
    dataset = people["regdb"]
    own = checkpoint(Path(), fold=2, data=dataset.fingerprint)
    assert evaluate("regdb_v2i", dataset.root, weights=own).result.config["data"]["folds"] == [2]
    unpaired = checkpoint(Path(), fold=2, data=unpaired_fingerprint(dataset.fingerprint, "donors"))
    for path in (own, unpaired):
        with pytest.raises(UsageError, match="trained on fold 2, whose test people are others"):
            evaluate("regdb_v2i", dataset.root, weights=path, fold=1)


def test_student_and_teacher_of_a_checkpoint_have_records_of_their_own(people: dict[str, Dataset]) -> None:
    path = checkpoint(Path(), fold=1, data=people["sysu"].fingerprint)
    records = {
        name: evaluate("sysu_all", people["sysu"].root, weights=path, model=name) for name in ("student", "teacher")
    }
    assert sorted(map(read_record, map(Path, files())), key=lambda record: record.result.headline["model"]) == [
        records["student"],
        records["teacher"],
    ]
    (table,) = external_tables(records)
    assert sorted(row.cells[2].text for row in table.rows[:2]) == ["student", "teacher"]


def refused(people: Path, message: str, **options: Any) -> None:
    before = files()
    with pytest.raises(UsageError, match=message):
        evaluate(options.pop("protocol", "sysu_all"), people, **options)
    assert files() == before


def test_wrong_arguments_are_refused_and_nothing_is_written(people: dict[str, Dataset]) -> None:
    root, path = people["sysu"].root, small_weights(Path())
    for options, message in (
        ({}, "give either --weights or --features"),
        ({"weights": path, "features": "f.npz"}, "give either --weights or --features"),
        ({"weights": "none.pth"}, "none.pth': no such file"),
        ({"features": "none.npz"}, "none.npz: no such file"),
        ({"weights": path, "fold": [1, 2]}, "--fold: 2 folds for 1 files"),
        ({"weights": path, "fold": 3}, "--fold 3: sysu has the folds 1; choose one"),
        ({"weights": [path, path], "fold": [1, 1]}, "names a fold twice"),
        ({"features": path, "feature": "bn"}, "belong to --weights"),
        ({"weights": path, "feature": "pool"}, r"unknown feature 'pool'"),
        ({"weights": path, "claims": "a\nb"}, "--claims: give one line"),
        ({"weights": path, "settings": {"train.lr": 1}}, "--set train: scoring has no such group"),
        ({"weights": path, "settings": {"data.filter": "lanczos"}}, r"--set data\.filter: scoring has no such setting"),
        ({"weights": path, "settings": {"protocol.shots": 3}}, r"protocol\.shots=3"),
        ({"weights": path, "settings": {"encoder": 3}}, "'encoder' is a group of settings"),
        ({"weights": path, "protocol": "sysu"}, "unknown protocol 'sysu'"),
        ({"weights": path, "protocol": "regdb_v2i"}, "it holds SYSU-MM01, not RegDB"),
        ({"weights": SHIPPED / "small16.safetensors", "settings": {"data.height": 5000}}, r"data\.height=5000"),
    ):
        refused(root, message, **options)
    regdb = people["regdb"].root
    refused(regdb, "--fold is missing: regdb has the folds 1, 2", weights=path, protocol="regdb_v2i")
    others = {**build_encoder(SmallConfig(width=16), 0).state_dict()}
    torch.save(others, "wide.pth")
    refused(regdb, "wide.pth: config is", weights=[path, "wide.pth"], fold=[1, 2], protocol="regdb_v2i")


def test_weights_without_finite_features_are_refused(people: dict[str, Dataset]) -> None:
    state = build_encoder(SmallConfig(width=8), 0).state_dict()
    torch.save({name: value * 1e30 if value.dim() == 4 else value for name, value in state.items()}, "w.pth")
    refused(people["sysu"].root, "w.pth: the network gives NaN", weights="w.pth")


def test_features_of_other_images_are_refused(people: dict[str, Dataset]) -> None:
    write_small_features(Path("f.npz"), people["sysu"])
    refused(people["regdb"].root, "features of other images", features="f.npz", protocol="regdb_v2i", fold=1)


def test_the_command_line_scores_and_prints(people: dict[str, Dataset], capsys: pytest.CaptureFixture[str]) -> None:
    from usvi_bench.cli.main import main

    words = ["evaluate", "--weights", str(small_weights(Path())), "--protocol", "sysu_all", "--device", "cpu"]
    words += [
        "--claims",
        "[/]small",
        "--data",
        str(people["sysu"].root),
        "--set",
        *(f"{name}={value}" for name, value in SIZE.items()),
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "[/]small on sysu_all (percent, external)" in out
    path, published, following, check = out.splitlines()[-4:]
    assert "leaderboard/PUBLISHED.md" in published
    assert following == "next (the consistency of the record):"
    assert check.endswith(f"check {path}")
    assert main(["check", path]) == 0
    assert main(["evaluate", "--weights", "small.pth"]) == 2
    assert "--protocol is missing" in capsys.readouterr().err
    torch.save({"a": 3}, "w.pth")
    assert main([*words[:2], "w.pth", *words[3:]]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_record_without_an_external_model_has_no_entry_for_it(people: dict[str, Dataset]) -> None:
    record: Record = usvi_bench.run(
        "untrained", "sysu_all", people["sysu"].root, settings=SIZE, device="cpu", verbose=False
    )
    (path,) = (path for path in files() if path.endswith("record.json"))
    assert "external" not in json.loads(Path(path).read_text())["result"]
    assert read_record(path) == record
