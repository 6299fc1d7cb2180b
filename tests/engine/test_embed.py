"""Features of data sets and folders: equal to those that are scored, and written with repeatable bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import usvi_bench
from tests.datasets.own_trees import rows_of, write_folders, write_rows
from tests.engine.external import SIZE, evaluate, features_of, small_weights
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.open import open_dataset
from usvi_bench.engine.feature_file import FeatureFile, read_features


def embed(data: Any, model: Path, output: Path, **options: Any) -> FeatureFile:
    options = {"settings": SIZE, "device": "cpu", "verbose": False, **options}
    return usvi_bench.embed(data, model, output, **options)


def test_features_of_a_data_set_are_those_that_evaluate_scores(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    people, weights = tiny_people["sysu"], small_weights(tmp_path)
    content = embed(people, weights, tmp_path / "f.npz")
    embed(people, weights, tmp_path / "again.npz")
    assert (tmp_path / "f.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()

    dataset, _ = open_dataset("sysu", str(people))
    expected = features_of(dataset)
    rows = [content.paths.index(path) for path in expected.paths]
    assert np.abs(content.features[rows] - expected.features).max() < 1e-6
    for name in ("modality", "cameras", "identities"):
        assert (getattr(content, name)[rows] == getattr(expected, name)).all()
    train, test = dataset.train(1), dataset.test(1)
    parts = (train.visible, train.infrared, test.visible, test.infrared)
    assert len(content.paths) == sum(map(len, parts)) == len(set(content.paths))
    assert list(zip(content.modality, content.paths, strict=True)) == sorted(
        zip(content.modality, content.paths, strict=True)
    )
    about = content.about
    assert (about["height"], about["width"], about["filter"]) == (32, 16, "lanczos")
    assert (about["feature"], about["data_fingerprint"]) == ("bn+flip", dataset.fingerprint)
    assert about["encoder"]["name"] == "small"

    scored = evaluate("sysu_all", people, features=tmp_path / "f.npz", output=tmp_path)
    weighed = evaluate("sysu_all", people, weights=weights, output=tmp_path)
    assert scored.means() == pytest.approx(weighed.means(), abs=1e-6)


def test_the_hash_of_weights_depends_on_the_values_and_not_on_the_file(tmp_path: Path) -> None:
    from usvi_bench.engine.embedder import describe
    from usvi_bench.engine.embedding_model import open_model

    state = build_encoder(SmallConfig(width=8), 0).state_dict()
    torch.save({"state_dict": state}, tmp_path / "packed.pth")
    paths = (small_weights(tmp_path), tmp_path / "packed.pth", small_weights(tmp_path, 1, "other.pth"))
    plain, packed, other = (describe(open_model(path))["weights_sha256"] for path in paths)
    assert plain == packed != other


def test_unknown_cameras_and_people_are_minus_one(tmp_path: Path) -> None:
    folders = write_folders(tmp_path / "people", range(2), 2)
    plain = embed(folders, small_weights(tmp_path), tmp_path / "f.npz")
    assert set(plain.cameras.tolist()) == set(plain.identities.tolist()) == {-1}
    rows = rows_of(tmp_path / "listed", range(2), "train", 2)
    rows[0]["camera"] = ""
    listed = embed(write_rows(tmp_path / "listed/list.csv", rows), small_weights(tmp_path), tmp_path / "g.npz")
    places = {"visible/train-0-0.png": -1, "visible/train-0-1.png": 4, "infrared/train-0-0.png": 1}  # i0, i1, v0, v1
    found = dict(zip(listed.paths, listed.cameras.tolist(), strict=True))
    assert {path: found[path] for path in places} == places


def test_images_of_several_folds_are_embedded_once(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    content = embed(tiny_people["regdb"], small_weights(tmp_path), tmp_path / "f.npz", modality="infrared")
    assert len(set(content.paths)) == len(content.paths)
    assert set(content.modality.tolist()) == {1}
    dataset, _ = open_dataset("regdb", str(tiny_people["regdb"]))
    assert set(content.paths) == {p for f in dataset.folds for p in (*dataset.train(f).infrared.paths,
                                                                     *dataset.test(f).infrared.paths)}  # fmt: skip
    tests = embed(tiny_people["regdb"], small_weights(tmp_path), tmp_path / "t.npz", split="test")
    assert len(tests.paths) < 2 * len(content.paths)


@pytest.mark.parametrize(("name", "split", "known"), [("regdb", "all", False), ("sysu", "all", True)])
def test_people_of_lists_with_labels_of_their_own_get_no_common_numbers(
    tiny_people: dict[str, Path], tmp_path: Path, name: str, split: str, known: bool
) -> None:
    content = embed(tiny_people[name], small_weights(tmp_path), tmp_path / "f.npz", split=split)
    assert (content.identities >= 0).all() == known
    assert (content.identities == -1).all() != known


def test_folders_that_hold_a_data_set_or_the_other_modality_are_refused(tmp_path: Path) -> None:
    people, weights = write_folders(tmp_path / "up" / "people", range(2), 2), small_weights(tmp_path)
    with pytest.raises(UsageError, match=r"up/people holds .*; give that folder"):
        embed(tmp_path / "up", weights, tmp_path / "f.npz", modality="visible")
    with pytest.raises(UsageError, match="the name is that of infrared pictures, but --modality is visible"):
        embed(people / "Thermal", weights, tmp_path / "f.npz", modality="visible")
    assert len(embed(people / "Thermal", weights, tmp_path / "f.npz", modality="infrared").paths) == 4


def test_a_name_that_a_features_file_cannot_have_is_refused_before_pictures_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "visible\\2.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="this path cannot be written to a features file; rename"):
        embed(tmp_path / "own", small_weights(tmp_path), tmp_path / "f.npz", modality="visible")


def test_numbers_of_numpy_are_those_of_python(tmp_path: Path) -> None:
    people, weights = write_folders(tmp_path / "people", range(2), 2), small_weights(tmp_path)
    settings = {name: np.int64(value) for name, value in SIZE.items()}
    content = embed(people, weights, tmp_path / "f.npz", settings=settings)
    queries = sorted((people / "Thermal").iterdir())[:1]
    options = {"modality": "infrared", "settings": settings, "device": "cpu"}
    found = usvi_bench.search(
        queries, tmp_path / "f.npz", weights, top=np.int64(2), threshold=np.float32(0.5), **options
    )
    assert found.rows.shape == (1, 2)
    assert len(content.paths) == 8
    for top in (np.int64(0), np.int64(-2), 2.0):
        with pytest.raises(UsageError, match="top"):
            usvi_bench.search(queries, tmp_path / "f.npz", weights, top=top, **options)  # type: ignore[arg-type]


def test_parts_of_one_image_have_their_boxes_in_every_table(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "listed", range(2), "train", 2)
    names = ("x_1", "y_1", "x_2", "y_2")
    for row, box in zip(rows, [(0, 0, 4, 4), (1, 0, 6, 6)], strict=False):
        row |= dict(zip(names, box, strict=True))
    table = write_rows(tmp_path / "listed/list.csv", [{**dict.fromkeys(names, ""), **row} for row in rows])
    weights = small_weights(tmp_path)
    content = embed(table, weights, tmp_path / "f.npz")
    assert content.boxes is not None
    query = tmp_path / "listed" / content.paths[0]
    options = {"settings": SIZE, "device": "cpu", "modality": "infrared"}
    found = usvi_bench.search([query], tmp_path / "f.npz", weights, top=8, **options).table()
    assert tuple(found.columns[-4:]) == names
    edges = {tuple(cell.value for cell in row.cells[-4:]) for row in found.rows}
    assert {(0, 0, 4, 4), (1, 0, 6, 6), (None,) * 4} == edges


def test_a_plain_folder_needs_a_modality(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    folder, weights = tmp_path / "own", small_weights(tmp_path)
    shutil.copytree(next((tiny_people["sysu"] / "cam1").iterdir()), folder / "a")
    with pytest.raises(UsageError, match="--modality visible or infrared"):
        embed(folder, weights, tmp_path / "f.npz")
    assert not (tmp_path / "f.npz").exists()
    visible = embed(folder, weights, tmp_path / "f.npz", modality="visible")
    infrared = embed(folder, weights, tmp_path / "g.npz", modality="infrared")
    assert visible.paths == infrared.paths == tuple(sorted(f"a/{p.name}" for p in (folder / "a").iterdir()))
    assert np.abs(visible.features - infrared.features).max() > 1e-3, "the stems differ"
    assert set(visible.identities.tolist()) == {-1}
    assert read_features(tmp_path / "f.npz").about == visible.about


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "f.txt"}, "ends with .npz"),
        ({"modality": "thermal"}, "unknown modality 'thermal'"),
        ({"split": "val"}, "unknown split"),
        ({"data": "nowhere"}, "no such folder"),
        ({"data": "w.pth"}, "neither a folder with visible and infrared nor a table"),
        ({"data": "synthetic:size=tiny", "dataset": "sisu"}, "did you mean sysu"),
        ({"split": "test", "modality": "visible"}, "has no splits"),
        ({"settings": {"train.lr": 1}}, "no such group"),
        ({"settings": {"data.filter": "bicubic"}}, "no such setting"),
        ({"model": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    tiny_people: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    torch.save(build_encoder(SmallConfig(width=8), 0).state_dict(), tmp_path / "w.pth")
    shutil.copytree(next((tiny_people["sysu"] / "cam1").iterdir()), tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    given = {"data": "own", "model": Path("w.pth"), "output": Path("f.npz"), **options}
    with pytest.raises(UsageError, match=message):
        embed(**{**given, "output": Path(given["output"])})
    assert set(tmp_path.rglob("*")) == before


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"a\.jpg"):
        embed(tmp_path / "own", small_weights(tmp_path), tmp_path / "f.npz", modality="visible")
    assert not (tmp_path / "f.npz").exists()
