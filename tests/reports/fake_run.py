"""Fake run directory with all inputs of a report and known numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.leaderboard.records import make_record, make_score
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import write_record
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import ImageTable, Split
from usvi_bench.protocols.base import Ranking
from usvi_bench.protocols.evaluation_file import save_evaluation

PEOPLE, EACH, DIMENSIONS = 22, 4, 16


def epoch_line(
    epoch: int, stage: str = "cluster_contrast", stage_index: int = 0, fold: int = 1, **changes: Any
) -> dict[str, Any]:
    """Make a journal line whose figures depend on the epoch's number."""
    share = (epoch + 1) / 10
    return {
        "kind": "epoch",
        "fold": fold,
        "stage": stage,
        "stage_index": stage_index,
        "epoch": epoch,
        "epochs": 4,
        "steps": 40,
        "iteration": 40 * (epoch + 1),
        "lr": 3.5e-4,
        "losses": {"visible": 3 - share, "infrared": 2 - share, **({"hybrid": 1.0 - share} if stage_index else {})},
        "clusters": {"visible": 40 - epoch, "infrared": 20 + epoch},
        "outliers": {"visible": 100 - 10 * epoch, "infrared": 20},
        "images": {"visible": 400, "infrared": 200},
        "identities": {"visible": 32, "infrared": 32},
        "quality": {
            "visible": {"ari": share, "nmi": share + 0.2, "purity": share + 0.4},
            "infrared": {"ari": share / 2, "nmi": share, "purity": share + 0.1},
            "match_accuracy": share if stage_index else None,
            "match_precision": share / 2 if stage_index else None,
            "match_recall": share * 2 if stage_index else None,
        },
        "seconds": {"embed": 1.0, "cluster": 0.5, "train": 4.0},
        "clustering": {
            "search_seconds": 0.3,
            "distance_seconds": 0.15,
            "dbscan_seconds": 0.01,
            "memory_mib": 20.0 + epoch,
        },
        "peak_memory_mib": 500.0,
        "diagnostics": {},
        **changes,
    }


def two_stages() -> list[dict[str, Any]]:
    """Make four epochs of a first stage and four of a second, two of them scored."""
    lines = [epoch_line(epoch) for epoch in range(4)]
    for epoch in range(4):
        lines.append(epoch_line(epoch, "sclhm", 1))
        if epoch % 2:
            lines += [
                {
                    "kind": "scores",
                    "fold": 1,
                    "epoch": epoch,
                    "model": model,
                    "metrics": {"R1": 0.1 * epoch + more, "mAP": 0.2 + more},
                }
                for model, more in (("student", 0.0), ("teacher", 0.05))
            ]
    return lines


def make_table(root: Path, modality: Modality, people: int) -> ImageTable:
    """Make a table with four images of every person, from two cameras of the modality."""
    cameras = {"visible": (1, 2), "infrared": (3, 6)}[modality]
    rows = [(person, i) for person in range(people) for i in range(EACH)]
    return ImageTable(
        modality=modality,
        root=root,
        paths=tuple(f"{modality}/{person:04d}/{i:04d}.png" for person, i in rows),
        identities=np.array([person for person, _ in rows], dtype=np.int64),
        cameras=np.array([cameras[i % 2] for _, i in rows], dtype=np.int64),
    )


def make_split(root: Path, pictures: bool = False, people: int = PEOPLE) -> Split:
    """Make test images of both modalities; ``pictures`` also draws them."""
    split = Split(make_table(root, "visible", people), make_table(root, "infrared", people))
    root.mkdir(parents=True, exist_ok=True)
    (root / "synthetic.json").write_text("{}")
    for table in (split.visible, split.infrared) if pictures else ():
        for path, person in zip(table.paths, table.identities, strict=True):
            pixels = np.random.default_rng(person).integers(0, 255, (8, 4, 3), dtype=np.uint8)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize((48, 96), Image.Resampling.NEAREST).save(root / path)
    return split


def write_truth(root: Path, split: Split) -> None:
    """Write ground truth: people 0 and 1, 2 and 3, ... have equal clothes; every third image is seen from behind."""
    lines = ["path,identity,camera,modality,azimuth,occlusion,top,bottom,pattern,hat,bag"]
    for table in (split.visible, split.infrared):
        for row, (path, person) in enumerate(zip(table.paths, table.identities.tolist(), strict=True)):
            moment = f"{(row % 3) * 1.5:.1f},{0.5 if row % 4 == 0 else 0}"
            worn = f"top{person // 2},bottom{person // 4},plain,{'cap' if person % 2 else 'none'},none"
            lines.append(f"{path},{person},{table.cameras[row]},{table.modality},{moment},{worn}")
    (root / "ground_truth.csv").write_text("\n".join(lines) + "\n")


def make_features(table: ImageTable, noise: float, seed: int) -> np.ndarray:
    """Make unit features: one direction per person, equal in both modalities, and noise."""
    centres = np.random.default_rng(7).normal(size=(int(table.identities.max()) + 1, DIMENSIONS))
    features = centres[table.identities] + noise * np.random.default_rng(seed).normal(size=(len(table), DIMENSIONS))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def make_ranking(split: Split, gallery: np.ndarray, depth: int = 20) -> Ranking:
    """Rank the given visible rows for all infrared queries by the fake features, without exclusions."""
    query, pool = split.infrared, split.visible
    similarity = make_features(query, 1.0, 1).astype(float) @ make_features(pool, 1.0, 2)[gallery].T.astype(float)
    columns = np.argsort(-similarity, axis=1, kind="stable")
    matches = pool.identities[gallery][columns] == query.identities[:, None]
    precision = [
        np.mean([(k + 1) / (hit + 1) for k, hit in enumerate(np.flatnonzero(row))]) if row.any() else np.nan
        for row in matches
    ]
    order, scores = gallery[columns], np.take_along_axis(similarity, columns, axis=1)
    pad = ((0, 0), (0, max(0, depth - len(gallery))))
    return Ranking(
        query=np.arange(len(query)),
        gallery=gallery,
        order=np.pad(order[:, :depth], pad, constant_values=-1),
        scores=np.pad(scores[:, :depth], pad, constant_values=np.nan),
        matches=np.pad(matches[:, :depth], pad),
        average_precision=np.array(precision),
    )


def make_run(folder: Path, *, pictures: bool = True, lean: bool = False, real: bool = False, **changes: Any) -> Path:
    """Make a finished run of a two-stage method with a teacher; a ``lean`` run has no journal and few people."""
    run, data = folder / "run", folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    scores = [
        make_score(0.4),
        make_score(0.42, trial=1),
        make_score(0.5, model="teacher"),
        make_score(0.6, selection="oracle"),
    ]
    write_record(run / "record.json", make_record(real=real, scores=scores, **changes))
    if not lean:
        Journal(run / "journal.jsonl").replace(two_stages())
    split = make_split(data, pictures, people=2 if lean else PEOPLE)
    if not lean:
        write_truth(data, split)
    gallery = np.flatnonzero(np.arange(len(split.visible)) % EACH == 0)[::-1].copy()
    save_evaluation(
        run / "evaluation.npz",
        make_ranking(split, gallery),
        split,
        "infrared",
        after=[make_features(split.visible, 0.3, 2), make_features(split.infrared, 0.3, 1)],
        before=[make_features(split.visible, 2.0, 3), make_features(split.infrared, 2.0, 4)],
    )
    return run
