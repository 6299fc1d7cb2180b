"""Runs on own images, from the command line to a consistent record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import usvi_bench
from tests.datasets.own_trees import rows_of, write_folders, write_rows
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record
from usvi_bench.core.types import OUTLIER, PseudoLabels
from usvi_bench.datasets.base import Split
from usvi_bench.datasets.folder import FolderData
from usvi_bench.engine.diagnosis import label_quality
from usvi_bench.engine.stages import true_identities
from usvi_bench.leaderboard.consistency import faults

SIZE = ["data.height=32", "data.width=16", "train.iterations=2", "engine.threads=1"]
QUICK = ["--schedule", "quick", "--weights", "random", "--device", "cpu", "--no-report", "--set", *SIZE]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))


def run(method: str, data: str | Path, *words: str) -> int:
    return main(["--method", method, "--protocol", "folder_i2v", "--data", str(data), *QUICK, *words])


def record() -> Record:
    (path,) = Path("runs/folder_i2v").iterdir()
    return record_of(path)


def record_of(folder: Path) -> Record:
    return usvi_bench.read_record(folder / "record.json")


def test_pictures_without_labels_train_and_end_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folders(tmp_path / "people", range(6))
    assert run("cluster_contrast", "people", "--camera-pattern", r"_c(\d)") == 0
    out = capsys.readouterr().out
    assert "training without scores: no infrared image has the split query or test" in out
    assert "evaluate --weights runs/folder_i2v/cluster_contrast-seed0-" in out
    assert "search IMAGE --modality infrared --gallery DIR --gallery-modality visible --model runs/folder_i2v/" in out
    made = record()
    assert (made.result.scores, made.result.chance, made.complete) == ([], {}, False)
    assert made.result.config["data"]["camera"] == r"_c(\d)"
    assert faults(made) == []
    (folder,) = Path("runs/folder_i2v").iterdir()
    assert len(list(folder.glob("checkpoints/*.pt"))) == 2
    assert main(["check", str(folder)]) == 0
    assert main(["report", str(folder)]) == 0
    page = (folder / "report/report.md").read_text()
    assert "**Trained without scores**: the data set has no test images with identities." in page
    assert "Label quality: no training image has an identity." in page
    assert not [words for words in ("Incomplete", "## Scores", "people", "quality.png", "Diagnosis") if words in page]
    rows = rows_of(tmp_path / "test", range(10, 13), "test", 2)
    write_rows(tmp_path / "test/list.csv", rows)
    scored = usvi_bench.evaluate("folder_v2i", "test/list.csv", weights=folder, device="cpu", verbose=False)
    assert scored.complete
    assert faults(scored) == []


def test_a_table_with_identities_is_scored(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, range(6), "train", camera=False) + rows_of(tmp_path, range(10, 13), "test", camera=False)
    write_rows(tmp_path / "list.csv", rows)
    assert run("untrained", "list.csv") == 0
    made = record()
    assert made.complete
    assert made.result.headline["gallery"] == "all"
    assert faults(made) == []


def test_the_camera_pattern_is_part_of_the_key(tmp_path: Path) -> None:
    write_folders(tmp_path / "people", range(6))
    keys = []
    for settings in ({}, {"data.camera": r"_c(\d)"}, {"data.depth_range": "0:9"}):
        made = usvi_bench.engine.experiment.Experiment(
            "cluster_contrast", "folder_i2v", "people", weights="random", schedule="quick", settings=settings
        ).prepare()
        keys.append(made.every_plan[-1].key)
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("method", "words", "message"),
    [
        ("untrained", (), "cannot score these images: no infrared image has the split query or test"),
        ("cluster_contrast", ("evaluate_every=1",), "cannot score these images"),
        ("supervised", (), "trains with identities, but no visible training image has one"),
        ("cluster_contrast", ("train.visible_clusters=25",), "24 training images are fewer than the 25 clusters"),
        ("cluster_contrast", ("data.camera=x(",), "is not a regular expression"),
        ("cluster_contrast", ("data.depth_range=1",), "LOW:HIGH"),
    ],
)
def test_what_cannot_run_is_refused_before_any_work(
    tmp_path: Path, method: str, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path / "people", range(6))
    assert run(method, "people", *words) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_training_needs_training_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "list.csv", rows_of(tmp_path, range(4), "test"))
    assert run("cluster_contrast", "list.csv") == 2
    assert "no visible training image: give some the split 'train'" in capsys.readouterr().err


def test_a_method_that_lacks_cameras_states_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folders(tmp_path / "people", range(6))
    experiment = usvi_bench.engine.experiment.Experiment
    how = {"weights": "random", "schedule": "quick"}
    for settings, expected in (({}, 1), ({"data.camera": r"_c(\d)"}, 0)):
        display = usvi_bench.engine.display.Display()
        experiment("dmic", "folder_i2v", "people", settings=settings, **how).prepare(display)
        assert capsys.readouterr().out.count("'dmic' balances over cameras, but those of visible and") == expected


# ---- images of unknown people ------------------------------------------------------------------------------------


def test_a_report_of_a_few_test_pictures_names_unknown_people(tmp_path: Path) -> None:
    train, known = rows_of(tmp_path, range(6), "train", camera=False), rows_of(tmp_path, [7, 8], "test", 1, False)
    unknown = [{**row, "identity": ""} for row in rows_of(tmp_path, [9, 10, 11], "test", 1, False)]
    write_rows(tmp_path / "list.csv", [*train, *known, *unknown])
    assert run("untrained", "list.csv") == 0
    (folder,) = Path("runs/folder_i2v").iterdir()
    assert main(["report", str(folder)]) == 0
    page = (folder / "report/report.md").read_text()
    assert "2 queries of 2 people" in page, "the open-set section"
    assert " -1 " not in page
    assert "## Features" not in page
    assert "Features: only 4 images of people with both modalities." in page


def test_unknown_people_are_outliers_for_the_supervised_bound(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [4, 5], "train", 2)
    rows[0]["identity"] = rows[5]["identity"] = ""
    split: Split = FolderData(write_rows(tmp_path / "list.csv", rows)).train()
    orders = np.arange(4), np.arange(4)
    labels = true_identities(split, orders, torch.device("cpu"))
    assert (labels.visible.tolist(), labels.infrared.tolist()) == ([OUTLIER, 0, 1, 1], [0, OUTLIER, 1, 1])


def test_label_quality_is_that_of_the_known_images() -> None:
    rng = np.random.default_rng(0)
    clusters, people = rng.integers(-1, 4, 40), rng.integers(0, 4, 40)
    clusters[:4] = range(4)
    known = rng.random(40) < 0.6
    partner = torch.tensor([1, 0, 3, 2])
    hidden = np.where(known, people, -1)

    def quality(chosen: np.ndarray, identities: np.ndarray) -> dict[str, object]:
        labels = torch.tensor(clusters[chosen])
        extra = {"joint_clusters": (labels, labels)}
        return label_quality(
            PseudoLabels(labels, labels, visible_to_infrared=partner, extra=extra), identities, identities
        )

    everything = np.ones(40, bool)
    assert set(clusters[known]) >= set(range(4))
    assert quality(everything, hidden) == quality(known, people[known])
    nothing = quality(everything, np.full(40, -1))
    assert nothing["match_accuracy"] is None
    assert nothing["joint_precision"] is None
    assert nothing["visible"] == {"ari": None, "nmi": None, "purity": None}


def test_a_run_is_scored_and_embedded_with_its_range_of_deep_images(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, range(6), "train") + rows_of(tmp_path, range(10, 13), "test", 2)
    for path in (tmp_path / str(row["path"]) for row in rows if row["modality"] == "infrared"):
        Image.fromarray(7000 + np.asarray(Image.open(path))[..., 0].astype(np.uint16)).save(path)
    write_rows(tmp_path / "list.csv", rows)
    assert run("cluster_contrast", "list.csv", "--set", "data.depth_range=7000:7200") == 0
    (folder,) = Path("runs/folder_i2v").iterdir()
    options = {"device": "cpu", "verbose": False}
    scored = usvi_bench.evaluate("folder_i2v", "list.csv", weights=folder, **options)  # type: ignore[arg-type]
    assert scored.result.config["data"]["depth_range"] == "7000:7200"
    assert scored.means() == pytest.approx(record_of(folder).means(), abs=1e-6)
    assert faults(scored) == []
    known = usvi_bench.embed("list.csv", folder, "f.npz", **options)  # type: ignore[arg-type]
    assert known.about["depth_range"] == "7000:7200"
    weights = sorted(folder.glob("checkpoints/*.pt"))[-1]
    size = {"data.height": 32, "data.width": 16}
    other = usvi_bench.embed("list.csv", weights, "g.npz", settings=size, **options)  # type: ignore[arg-type]
    assert "depth_range" not in other.about
    assert not np.allclose(known.features, other.features, atol=1e-3)
    with pytest.raises(UsageError, match=r"about.depth_range is image, but 7000:7200"):
        usvi_bench.search("infrared/test-10-0.png", "g.npz", folder, "infrared", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"data.depth_range=image: the run has 7000:7200; leave it out"):
        usvi_bench.evaluate(
            "folder_i2v",
            "list.csv",
            weights=folder,
            settings={"data.depth_range": "image"},
            **options,  # type: ignore[arg-type]
        )
