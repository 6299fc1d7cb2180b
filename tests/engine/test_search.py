"""Search of a gallery: a picture finds itself, other models are refused, a threshold marks what is below it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import usvi_bench
from tests.engine.external import SIZE, small_weights
from usvi_bench.core.errors import UsageError
from usvi_bench.core.table import to_csv
from usvi_bench.engine.feature_file import read_features, write_features
from usvi_bench.engine.search import REFUSED, SearchResult


def search(queries: Any, gallery: Any, model: Path, modality: str, **options: Any) -> SearchResult:
    options = {"settings": SIZE, "device": "cpu", "verbose": False, **options}
    return usvi_bench.search(queries, gallery, model, modality, **options)


@pytest.fixture(scope="module")
def made(tiny_people: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """People, weights, and features of the people."""
    folder = tmp_path_factory.mktemp("search")
    weights = small_weights(folder)
    usvi_bench.embed(
        tiny_people["sysu"], weights, folder / "f.npz", settings=SIZE, device="cpu", split="test", verbose=False
    )
    return tiny_people["sysu"], weights, folder / "f.npz"


def test_a_picture_finds_itself_first(made: tuple[Path, Path, Path]) -> None:
    people, weights, gallery = made
    content = read_features(gallery)
    row = int(np.flatnonzero(content.modality == 1)[3])
    found = search(people / content.paths[row], gallery, weights, "infrared", top=5)
    assert found.gallery.paths[found.rows[0, 0]] == content.paths[row]
    assert found.similarity[0, 0] == pytest.approx(1, abs=1e-5)
    assert found.rows.shape == found.similarity.shape == (1, 5)
    assert (np.diff(found.similarity[0]) <= 0).all()
    visible = search(people / content.paths[row], gallery, weights, "infrared", gallery_modality="visible", top=10_000)
    assert visible.rows.shape == (1, int((content.modality == 0).sum()))
    assert set(visible.gallery.modality.tolist()) == {0}
    other = search(people / content.paths[row], gallery, weights, "visible", top=5)
    assert other.similarity[0, 0] < 1 - 1e-4, "the first layers differ"


def test_a_folder_as_gallery_gives_the_lists_of_its_features(made: tuple[Path, Path, Path]) -> None:
    people, weights, gallery = made
    content = read_features(gallery)
    camera = content.paths[0].split("/")[0]
    query = people / content.paths[-1]
    found = search(query, people / camera, weights, "infrared", gallery_modality="visible", top=20)
    expected = search(query, gallery, weights, "infrared", gallery_modality="visible", top=10_000)
    values = dict(zip((expected.gallery.paths[row] for row in expected.rows[0]), expected.similarity[0], strict=True))
    listed = [f"{camera}/{found.gallery.paths[row]}" for row in found.rows[0]]
    shared = [rank for rank, path in enumerate(listed) if path in values]  # the features have test people only
    assert shared
    assert [values[listed[rank]] for rank in shared] == pytest.approx(found.similarity[0, shared], abs=1e-6)
    assert found.root == people / camera
    with pytest.raises(UsageError, match="--gallery-modality"):
        search(query, people / camera, weights, "infrared")


def test_a_threshold_marks_pictures_that_are_not_above_it(made: tuple[Path, Path, Path]) -> None:
    people, weights, gallery = made
    query = people / read_features(gallery).paths[-1]
    first = search(query, gallery, weights, "infrared", top=3)
    assert "note" not in first.table().columns
    threshold = float(first.similarity[0, 1])
    found = search(query, gallery, weights, "infrared", top=3, threshold=threshold)
    assert [found.note(0, rank) for rank in range(3)] == ["", REFUSED, REFUSED]
    lines = to_csv(found.table()).splitlines()
    assert lines[0] == "query,path,modality,note,rank,camera,similarity,identity"
    assert [REFUSED in line for line in lines[1:]] == [False, True, True]
    assert lines[1].endswith(f",1,{found.gallery.cameras[found.rows[0, 0]]},1.0,{found.gallery.identities[-1]}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights_sha256": "0" * 64}, "weights_sha256 is 0000000000000000, but [0-9a-f]{16} of small.pth"),
        ({"weights_sha256": None}, "weights_sha256 is missing"),
        ({"feature": "bn"}, "feature is bn"),
        ({"height": 64}, "height is 64, but 32"),
        ({"filter": "bicubic"}, "filter is bicubic"),
    ],
)
def test_features_of_another_model_are_refused(
    made: tuple[Path, Path, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    people, weights, gallery = made
    content = read_features(gallery)
    about = {name: value for name, value in {**content.about, **change}.items() if value is not None}
    write_features(tmp_path / "g.npz", replace(content, about=about))
    with pytest.raises(UsageError, match=message):
        search(people / content.paths[0], tmp_path / "g.npz", weights, "visible", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_features_of_other_weights_are_refused(made: tuple[Path, Path, Path], tmp_path: Path) -> None:
    people, _, gallery = made
    with pytest.raises(UsageError, match="features of different models"):
        search(people / read_features(gallery).paths[0], gallery, small_weights(tmp_path, 1), "visible")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "top=0 must be from 1"),
        ({"threshold": 1.5}, "threshold=1.5 must be from -1"),
        ({"threshold": float("nan")}, "threshold=nan must be"),
        ({"modality": "thermal"}, "unknown modality"),
        ({"gallery_modality": "x"}, "--gallery-modality: unknown"),
        ({"queries": []}, "no query"),
        ({"queries": "nowhere.jpg"}, "no such file or folder"),
        ({"data": "nowhere"}, "no such folder"),
        ({"output": "."}, "not empty"),
        ({"gallery": "nowhere"}, "no such folder"),
        ({"gallery": "nowhere.npz"}, "nowhere.npz: no such file; give a .npz file"),
        ({"gallery": "nowhere.NPZ"}, "nowhere.NPZ: no such file; give a .npz file"),
    ],
)
def test_wrong_arguments_are_refused(
    made: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    people, weights, gallery = made
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    given = {"queries": people / read_features(gallery).paths[0], "gallery": gallery, "modality": "visible", **options}
    with pytest.raises(UsageError, match=message):
        search(model=weights, **given)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
