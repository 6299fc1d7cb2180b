from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from usvi_bench.benchmarks import clustering
from usvi_bench.benchmarks.clustering import label_agreement, list_differences
from usvi_bench.benchmarks.features import people, purity
from usvi_bench.benchmarks.naive_clustering import naive_jaccard, naive_labels, naive_lists

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("faiss")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "usvi_bench.benchmarks.clustering", *options]
    patient = {
        **os.environ,
        "OMP_WAIT_POLICY": "passive",
    }  # threads that spin take longer on a busy machine
    return subprocess.run(command, cwd=ROOT, env=patient, capture_output=True, text=True, timeout=300)


def test_a_table_grows_over_several_runs_and_labels_agree(tmp_path: Path) -> None:
    file, picture = tmp_path / "clustering.json", tmp_path / "clustering.png"
    first = run("--sizes", "100", "300", "--dim", "64", "--naive-up-to", "200", "--json", str(file))
    assert first.returncode == 0, first.stderr
    begun = json.loads(file.read_text())["rows"]
    assert [set(row["paths"]) for row in begun] == [{"ours", "naive"}, {"ours"}]

    options = ["--sizes", "300", "--dim", "64", "--joint", "200", "--growth", "400", "--agreement", "500"]
    second = run(*options, "--json", str(file), "--plot", str(picture))
    assert second.returncode == 0, second.stderr
    assert "labels identical" in second.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    table = json.loads(file.read_text())
    assert {"cpu", "cores", "memory_gib", "environment"} <= set(table["machine"])
    rows = {(row["kind"], row["size"]): row for row in table["rows"]}
    assert len(rows) == len(table["rows"]) == 5
    assert rows["modality", 100] == begun[0]
    for row in rows.values():
        assert 0.3 < row["purity"] < 1
        assert row["commit"]
        for path in row["paths"].values():
            assert 0 < path["search_seconds"] + path["distance_seconds"] + path["dbscan_seconds"] < path["wall"] < 100
            assert path["extra_mib"] < 200
            assert path["clusters"] >= 1
    for key in (("modality", 100), ("modality", 300), ("joint", 200)):
        assert rows[key]["labels_identical"]
        assert rows[key]["list_errors"] == 0
        assert rows[key]["ratio"] > 0
    assert rows["agreement", 500]["paths"]["approximate"]["recall"] > 0.9
    assert rows["agreement", 500]["ari"] > 0.8


def test_figures_of_two_machines_never_share_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "measured", lambda call: (call(), None))  # without a child
    file = tmp_path / "clustering.json"
    held = clustering.load_table(file, "cpu")
    assert held["rows"] == []
    file.write_text(json.dumps(held))
    assert clustering.load_table(file, "cpu")["rows"] == []
    held["machine"]["cores"] += 1
    file.write_text(json.dumps(held))
    with pytest.raises(SystemExit, match="another machine"):
        clustering.load_table(file, "cpu")


def test_the_definition_gives_the_values_of_the_public_codes() -> None:
    """Sources: yangbincv/ADCA @8d0a8cb; balanced: shijiangming1/PCLHD @c1f7b24."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 16))[np.arange(120) % 12] + 0.7 * rng.normal(size=(120, 16))
    distance = naive_jaccard(np.float32(x / np.linalg.norm(x, axis=1, keepdims=True)), 20, 6)
    assert distance.dtype == np.float32
    assert distance.mean(dtype=float) == pytest.approx(0.877911, abs=2e-6)
    assert distance[0, 12] == pytest.approx(0.077771, abs=2e-6)
    assert np.bincount(naive_labels(distance, 0.6)).tolist() == [20, 19, 20, 10, 10, 11, 10, 10, 10]

    i, j = np.arange(1, 49)[:, None], np.arange(1, 17)
    wave = np.sin(2.1 * (1 + (i - 1) % 4) + 0.8 * j) + 0.25 * np.cos(0.9 * (1 + (i - 1) % 4) * j)
    wave += 0.35 * (np.sin(1.7 * i + 2.3 * j) + 0.25 * np.cos(0.9 * i * j))
    features = np.float32(wave / np.linalg.norm(wave, axis=1, keepdims=True))
    modality = np.arange(48) >= 28
    joint = naive_jaccard(features, 12, 8, modality)
    assert joint.sum() == pytest.approx(1705.9360, abs=5e-3)
    assert np.array_equal(naive_jaccard(features, 12, 8, modality, naive_lists(features, 12)), joint)
    cameras = np.stack([modality, modality], axis=1)  # one camera a modality changes nothing, two do
    assert np.array_equal(naive_jaccard(features, 12, 8, cameras), joint)
    cameras[::2, 1] ^= True
    assert np.abs(naive_jaccard(features, 12, 8, cameras) - joint).max() > 0.01


def test_people_are_reproducible_and_their_neighbourhoods_mixed() -> None:
    made = people(1000, 256)
    assert np.array_equal(made.features, people(1000, 256).features)
    assert not np.array_equal(made.features, people(1000, 256, seed=1).features)
    assert np.linalg.norm(made.features, axis=1) == pytest.approx(np.ones(1000), abs=1e-6)
    assert made.features.min() == 0
    assert np.bincount(made.identities).tolist() == [25] * 40
    assert len(set(zip(made.identities, made.cameras, strict=True))) == 160
    similarity = made.features @ made.features.T
    nearest = made.identities[np.argsort(-similarity, axis=1)[:, :30]]
    expected = (nearest == made.identities[:, None]).mean()
    assert purity(made.features, made.identities, sample=1000) == pytest.approx(expected, abs=1e-4)
    assert purity(people(1000, 256, noise=0.01, offset=0).features, made.identities) == pytest.approx(25 / 30)


def test_ties_are_not_counted_as_errors() -> None:
    features = np.float32([[0, 0], [1, 0], [0, 1], [0.5, 0]])
    lists = np.array([[0, 3, 1], [1, 3, 0], [2, 0, 3], [3, 0, 1]])
    other = np.array([[0, 3, 2], [1, 0, 3], [2, 0, 3], [3, 0, 1]])  # a tie; two neighbours in the wrong order
    assert list_differences(features, lists, other) == {"list_ties_swapped": 1, "list_errors": 2}
    assert list_differences(features, lists, lists) == {"list_ties_swapped": 0, "list_errors": 0}
    labels = np.array([0, 0, 1, 1, -1, -1])
    assert label_agreement(labels, labels) == {"labels_identical": True, "ari": 1, "ari_outliers_together": 1}
    changed = label_agreement(labels, np.array([0, 0, 1, 1, 2, 2]))
    assert not changed["labels_identical"]
    assert changed["ari"] < changed["ari_outliers_together"] == 1
