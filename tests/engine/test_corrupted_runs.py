"""Runs under protocols of corrupted images: they reuse the trainings of clean images and write records of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import usvi_bench
from tests.datasets.test_corruption import needs_package
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets import corruption
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.protocols.evaluation_file import load_evaluation

QUICK = {
    **{"train.epochs": 1, "train.iterations": 1, "train.visible_clusters": 2, "train.infrared_clusters": 2},
    **{"train.instances": 2, "encoder.width": 8, "method.k1": 6, "method.eps": 0.7, "engine.threads": 1},
}


def run(protocol: str, data: Path, output: Path, **settings: object) -> usvi_bench.Record:
    made = {**QUICK, **{name.replace("__", "."): value for name, value in settings.items()}}
    return usvi_bench.run("cluster_contrast", protocol, data, settings=made, output=output, verbose=False)


@needs_package
def test_a_finished_training_is_scored_on_corrupted_images(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    data = tiny_people["sysu"]
    clean = run("sysu_all", data, tmp_path)
    (stage,) = (tmp_path / "stages").glob("cluster_contrast-*")
    finished = (stage / "finished.json").read_bytes()
    found = run("sysu_all_c", data, tmp_path)
    assert [path.name for path in (tmp_path / "stages").glob("cluster_contrast-*")] == [stage.name]
    assert (stage / "finished.json").read_bytes() == finished
    assert found.provenance["stages"] == clean.provenance["stages"]
    result = found.result
    assert [score.trial for score in result.scores] == list(range(10))
    assert len({json.dumps(score.metrics) for score in result.scores}) > 5
    assert {score.gallery for score in result.scores} == {"seeded+corrupted"}
    assert result.headline["feature"] == "bn+flip"
    assert found.complete
    assert faults(found) == []
    (folder,) = (path.parent for path in (tmp_path / "sysu_all_c").glob("*/evaluation.npz"))
    saved = load_evaluation(folder / "evaluation.npz")
    assert saved.features is not None
    queries, gallery = (part.astype(np.float64) for part in saved.features)
    similarity = np.take_along_axis(queries @ gallery.T, saved.order, axis=1)
    np.testing.assert_allclose(similarity, saved.scores, atol=1e-6)  # features of corrupted images, as they were scored
    again = run("sysu_all_c", data, tmp_path / "elsewhere")
    assert again.result == result
    both = run("sysu_all_c", data, tmp_path, protocol__corrupt="both")
    assert {score.gallery for score in both.result.scores} == {"seeded+corrupted+infrared"}
    tables = score_tables({f"{i}.json": each for i, each in enumerate((clean, found, both))})
    titles = [(table.key.protocol, table.title) for table in tables]
    assert titles == [
        ("sysu_all", "single-shot, seeded gallery, shared setting, repaired form"),
        ("sysu_all_c", "single-shot, seeded gallery, corrupted visible images, shared setting, repaired form"),
        (
            "sysu_all_c",
            "single-shot, seeded gallery, corrupted visible and infrared images, shared setting, repaired form",
        ),
    ]


def test_without_the_package_nothing_is_written(
    tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corruption, "_VERSIONS", ("no-such-package",))
    with pytest.raises(UsageError, match=r"regdb_i2v_c needs .*usvi-bench\[corruptions\]"):
        run("regdb_i2v_c", tiny_people["regdb"], tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_features_files_are_refused(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "features.npz").write_bytes(b"")
    with pytest.raises(UsageError, match="sysu_all_c embeds corrupted images itself; give --weights"):
        usvi_bench.evaluate(
            "sysu_all_c", features=tmp_path / "features.npz", data=tiny_people["sysu"], output=tmp_path / "runs"
        )


@needs_package
def test_corrupted_images_have_no_re_ranked_scores(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"sysu_all_c corrupts images .* leave out engine.rerank=true"):
        run("sysu_all_c", tiny_people["sysu"], tmp_path, engine__rerank=True)
    assert not list(tmp_path.iterdir())
