"""Protocols of own images: the scores are those of plain loops over queries and gallery."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.own_trees import rows_of, write_rows
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.folder import FolderData
from usvi_bench.protocols.base import ProtocolConfig


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))


def embed(table: ImageTable) -> np.ndarray:
    """Return features that follow from the name of an image alone, close for images of one person."""
    rows = []
    for path in table.paths:
        person = int(Path(path).stem.split("-")[1])
        noise = np.random.default_rng([len(path), sum(map(ord, path))]).normal(size=6)
        rows.append(np.random.default_rng(person).normal(size=6) + 1.5 * noise)
    features = np.array(rows)
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def naive(rows: list[dict[str, object]], query: str, gallery: str, by_camera: bool) -> dict[str, float]:
    """Score the rows of a table by loops."""
    by_path = {str(row["path"]): row for row in rows}

    def side(modality: str, role: str) -> list[str]:
        return sorted(p for p, r in by_path.items() if r["modality"] == modality and r["split"] in (role, "test"))

    def vector(path: str) -> np.ndarray:
        return embed(ImageTable("visible", Path(), (path,), np.zeros(1, int), np.zeros(1, int)))[0].astype(float)

    first, precision, penalty = [], [], []
    for asked in side(query, "query"):
        own = by_path[asked]
        ranked = []
        for name in sorted(side(gallery, "gallery"), key=lambda name: -float(vector(asked) @ vector(name))):
            other = by_path[name]
            same = bool(own["identity"]) and own["identity"] == other["identity"]
            if by_camera and same and own["camera"] == other["camera"]:
                continue
            ranked.append((same, other["identity"] or name))
        places = [place for place, (same, _) in enumerate(ranked, 1) if same]
        if not places:
            continue
        first.append(len({person for _, person in ranked[: places[0] - 1]}) if by_camera else places[0] - 1)
        precision.append(np.mean([n / place for n, place in enumerate(places, 1)]))
        penalty.append(len(places) / places[-1])
    return {"R1": float(np.mean(np.array(first) < 1)), "R5": float(np.mean(np.array(first) < 5)),
            "mAP": float(np.mean(precision)), "mINP": float(np.mean(penalty))}  # fmt: skip


@pytest.mark.parametrize("protocol", ["folder_i2v", "folder_v2i"])
@pytest.mark.parametrize("cameras", ["known", "some", "none"])
def test_scores_are_those_of_loops(tmp_path: Path, protocol: str, cameras: str) -> None:
    rng = random.Random(3)
    rows = rows_of(tmp_path, range(6), "x", 5, camera=cameras != "none")
    for row in rows:
        row["split"] = rng.choice(["query", "gallery", "test"])
        row["identity"] = row["identity"] if rng.random() < 0.8 else ""
        if cameras != "none":
            row["camera"] = rng.choice(["a", "b", "c"] if cameras == "known" else ["a", ""])
    dataset = FolderData(write_rows(tmp_path / "list.csv", rows))
    made = PROTOCOLS.get(protocol)()
    made.check(dataset)
    evaluation = made.evaluate(embed, dataset, 1, 1)
    (score,) = evaluation.scores
    expected = naive(rows, made.query, made.gallery, by_camera=cameras == "known")
    assert {name: score.metrics[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert made.kind() == {"shots": None, "gallery": "all, other cameras" if cameras == "known" else "all"}
    assert made.kind() in made.kinds()
    restored = PROTOCOLS.get(protocol)()
    restored.restore(made.kind())
    tables = made.tables(dataset, 1)
    size = (len(tables[0]), len(tables[1]))
    for found, usual in zip(restored.masks(*tables).arrays(size), made.masks(*tables).arrays(size), strict=True):
        np.testing.assert_array_equal(found, usual)
    test = getattr(dataset.test(), made.query)
    assert [test.paths[row] for row in evaluation.ranking.query] == list(evaluation.queries.paths)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row | {"split": "train"}, "no infrared image has the split query or test"),
        (lambda row: row | {"split": "query"}, "no visible image has the split gallery or test"),
        (lambda row: row | {"identity": ""}, "no infrared query image has an identity"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, change, reason: str) -> None:
    dataset = FolderData(write_rows(tmp_path / "l.csv", [change(row) for row in rows_of(tmp_path, [1, 2], "test")]))
    made = PROTOCOLS.get("folder_i2v")()
    made.check(dataset)
    assert made.unscorable(dataset) == reason


def test_people_of_one_side_only_cannot_be_scored(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [1, 2], "test", 1, camera=False)
    rows = [row | {"identity": f"{row['identity']}{row['modality']}"} for row in rows]
    with pytest.raises(UsageError, match="none of the 2 infrared queries has a visible gallery image of its person"):
        PROTOCOLS.get("folder_i2v")().check(FolderData(write_rows(tmp_path / "l.csv", rows)))


@pytest.mark.parametrize("config", [ProtocolConfig(shots=10), ProtocolConfig(gallery="official")])
def test_settings_of_drawn_galleries_are_refused(tmp_path: Path, config: ProtocolConfig) -> None:
    dataset = FolderData(write_rows(tmp_path / "l.csv", rows_of(tmp_path, [1], "test")))
    with pytest.raises(UsageError, match=r"protocol\.(shots|gallery)="):
        PROTOCOLS.get("folder_i2v")(config).check(dataset)
