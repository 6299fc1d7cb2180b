"""Clusters of features files: those of the clustering itself, as tables and as folders of links or copies."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import usvi_bench
from usvi_bench.components.clustering.dbscan import pseudo_labels
from usvi_bench.core.errors import UsageError
from usvi_bench.engine.cluster import ClusterResult
from usvi_bench.engine.feature_file import FeatureFile, write_features

ABOUT = {"schema": 1, "feature": "bn+flip", "similarity": "dot"}
SETTINGS = {"method.k1": 6, "method.k2": "3"}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """A features file with three people of six pictures in each modality, and the folder of its pictures."""
    rng = np.random.default_rng(0)
    people = np.tile(np.repeat([0, 1, 2], 6), 2)
    features = rng.standard_normal((3, 16))[people] + 0.2 * rng.standard_normal((36, 16))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    modality = np.repeat([0, 1], 18).astype(np.uint8)
    paths = tuple(f"cam{int(m)}/{row}/same name.jpg" for row, m in enumerate(modality))
    for path in paths:
        (tmp_path / "data" / path).parent.mkdir(parents=True)
        (tmp_path / "data" / path).write_text(path)
    content = FeatureFile(features.astype(np.float32), paths, modality, modality + 1, people, ABOUT)
    content = FeatureFile(content.features, paths, modality, content.cameras.astype(np.int64), people, ABOUT)
    write_features(tmp_path / "f.npz", content)
    return tmp_path / "f.npz", tmp_path / "data"


def cluster(features: Path, output: Path, **options: Any) -> ClusterResult:
    return usvi_bench.cluster(features, output, **{"settings": SETTINGS, **options})


def test_each_modality_is_clustered_on_its_own(made: tuple[Path, Path], tmp_path: Path) -> None:
    result = cluster(made[0], tmp_path / "c.csv")
    features = torch.from_numpy(np.array(result.content.features))
    visible, infrared = (pseudo_labels(part, eps=0.6, k1=6, k2=3).numpy() for part in (features[:18], features[18:]))
    assert result.labels.tolist() == [*visible, *np.where(infrared < 0, -1, infrared + visible.max() + 1)]
    assert len(set(result.labels.tolist()) - {-1}) == 6
    rows = list(csv.DictReader((tmp_path / "c.csv").read_text().splitlines()))
    assert list(rows[0]) == ["path", "modality", "cluster", "camera", "identity"]
    assert {row["path"]: int(row["cluster"]) for row in rows} == dict(
        zip(result.content.paths, result.labels.tolist(), strict=True)
    )
    only = cluster(made[0], tmp_path / "i.csv", modality="infrared")
    assert only.labels.tolist() == infrared.tolist()


def test_joint_clusters_hold_both_modalities(made: tuple[Path, Path], tmp_path: Path) -> None:
    result = cluster(made[0], tmp_path / "c.csv", joint=True, settings={"method.k1": 12, "method.k2": 3})
    features = torch.from_numpy(np.array(result.content.features))
    groups = torch.from_numpy(result.content.modality.astype(np.int64))
    assert result.labels.tolist() == pseudo_labels(features, eps=0.6, k1=12, k2=3, groups=groups).tolist()
    assert (result.labels[:18] == result.labels[18:]).all()
    assert result.sentence == "36 pictures: 3 clusters (3 with both modalities), 0 outliers"


def test_folders_have_links_and_with_pictures_copies(made: tuple[Path, Path], tmp_path: Path) -> None:
    features, data = made
    for name, copies in (("links", False), ("copies", True)):
        result = cluster(features, tmp_path / name, joint=True, data=data, with_pictures=copies)
        files = sorted(path for path in (tmp_path / name).rglob("*.jpg"))
        assert len(files) == 36, "equal names do not overwrite"
        assert {path.is_symlink() for path in files} == {not copies}
        rows = list(csv.DictReader((tmp_path / name / "clusters.csv").read_text().splitlines()))
        for row in rows:
            assert (tmp_path / name / row["file"]).read_text() == row["path"]
            place = "outliers" if row["cluster"] == "-1" else f"cluster-{int(row['cluster']):05d}"
            assert row["file"].split("/")[0] == place
        folders = {row["file"].split("/")[0] for row in rows}
        assert {path.name for path in (tmp_path / name).iterdir()} == {"clusters.csv", *folders}
        assert len(folders) == len(set(result.labels.tolist()))
    assert not list(tmp_path.glob(".*")), "no temporary folder stays"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": {"method.eps": 2}}, "method.eps=2"),
        ({"settings": {"method.epsilon": 1}}, "did you mean method.eps"),
        ({"settings": {"eps": 0.5}}, "see method.eps"),
        ({"settings": {"method.k1": 30}}, "lower it .*--set method.k1=9"),
        ({"modality": "x"}, "unknown modality"),
        ({"modality": "visible", "joint": True}, "leave out --modality"),
        ({"output": "out"}, "--data is missing"),
        ({"output": "out", "data": "nowhere"}, "--data nowhere"),
        ({"output": "out", "data": "."}, "no picture cam0/0/same name.jpg there"),
        ({"output": "data", "data": "data"}, "not empty"),
        ({"output": "c.csv", "data": "data"}, "belong to a folder"),
        ({"features": "nowhere.npz"}, "no such file"),
    ],
)
def test_wrong_arguments_are_refused(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"features": "f.npz", "output": "c.csv", **options}
    with pytest.raises(UsageError, match=message):
        cluster(**given)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "f.npz"]


def test_a_link_out_of_the_folder_is_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    features, data = made
    target = data / "cam0/0/same name.jpg"
    target.unlink()
    target.symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="no picture"):
        cluster(features, tmp_path / "out", data=data)
