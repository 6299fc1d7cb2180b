"""The table of label quality: which epochs, whose run, and values as the journal has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.label_quality import main
from leaderboard.record import write_record
from tests.leaderboard.records import SYNTHETIC, make_record


def epoch(number: int, stage: int, trained: str, ari: float | None, precision: float | None) -> dict[str, Any]:
    agreement = {"ari": ari, "nmi": ari, "purity": ari}
    return {
        "kind": "epoch",
        "fold": 1,
        "stage_index": stage,
        "stage": trained,
        "epoch": number,
        "clusters": {"visible": 10 + number, "infrared": 5},
        "outliers": {"visible": 25, "infrared": 0},
        "images": {"visible": 100, "infrared": 60},
        "quality": {
            "visible": agreement,
            "infrared": {**agreement, "ari": 0.123456},
            "match_precision": precision,
            "match_recall": precision,
        },
    }


def write_run(folder: Path, seed: int, **knobs: float) -> None:
    spec = {**SYNTHETIC["spec"], "pose": 1.0, **knobs}  # type: ignore[dict-item]
    usual = dict.fromkeys(("modality_gap", "camera_gap"), 1.0) | {"boxes": 0.5, "pose": 1.0, "mismatch": 0.0}
    spec = {**dict.fromkeys(("clothing_similarity", "recolour", "occlusion"), 0.0), **usual, **spec}
    data = {"name": "sysu", "fingerprint": str(spec), "synthetic": {"spec": spec}, "description": ""}
    write_record(folder / "record.json", make_record("pgm", seed, dataset=data))
    lines = [epoch(n, 0, "cluster_contrast", 0.5 + 0.1 * n, None) for n in range(3)]
    lines += [epoch(n, 1, "pgm", None, 0.25) for n in range(2)]
    other = [{"kind": "evaluation", "fold": 1}]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, *other]))


def test_first_and_last_epoch_of_every_stage(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "b", 1, mismatch=0.5)
    write_run(tmp_path / "runs" / "a", 0)
    write_record(tmp_path / "runs" / "bare" / "record.json", make_record("adca"))  # no journal
    file = tmp_path / "table.csv"
    assert main([str(tmp_path / "runs"), "--csv", str(file)]) == 0
    found = pd.read_csv(file, keep_default_na=False)
    assert list(found["people"]) == [""] * 4 + ["mismatch=0.5"] * 4
    own = found[found["seed"] == 0]
    assert list(zip(own["stage"], own["trained"], own["epoch"], strict=True)) == [
        (1, "cluster_contrast", 1),
        (1, "cluster_contrast", 3),
        (2, "pgm", 1),
        (2, "pgm", 2),
    ]
    assert list(own["visible_ari"]) == ["0.5", "0.7", "", ""]
    assert set(own["infrared_ari"]) == {0.1235}
    assert list(own["visible_clusters"]) == [10, 12, 10, 11]
    assert set(own["visible_left_out"]) == {0.25}
    assert list(own["match_precision"]) == ["", "", "0.25", "0.25"]
    first = file.read_bytes()
    main([str(tmp_path / "runs" / "b"), str(tmp_path / "runs" / "a"), str(tmp_path / "runs"), "--csv", str(file)])
    assert file.read_bytes() == first


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no finished run"):
        main([str(tmp_path)])
