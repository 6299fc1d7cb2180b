"""Table of label quality: columns that identify the run, and values of the journal."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.leaderboard.records import make_record
from usvi_bench.analysis.label_quality import main
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import write_record
from usvi_bench.synthetic.spec import changed_knobs, parse


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
            "match_accuracy": precision,
        },
    }


def write_run(
    folder: Path, seed: int, first: float = 0.5, made: dict[str, Any] | None = None, people: str = "synthetic"
) -> None:
    spec = asdict(parse(people))
    made_from = {"synthetic": {"spec": spec}, "knobs": changed_knobs(spec)}
    data = {"name": "sysu", "fingerprint": str(spec), **made_from, "description": ""}
    write_record(folder / "record.json", make_record("pgm", seed, dataset=data, provenance=made))
    lines = [epoch(n, 0, "cluster_contrast", first + 0.1 * n, None) for n in range(3)]
    lines += [epoch(n, 1, "pgm", None, 0.25) for n in range(2)]
    other = [{"kind": "evaluation", "fold": 1}]
    Journal(folder / "journal.jsonl").replace([*lines, *other])


def test_every_epoch_of_every_stage(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "b", 1, people="synthetic:mismatch=0.5")
    write_run(tmp_path / "runs" / "a", 0)
    write_record(tmp_path / "runs" / "bare" / "record.json", make_record("adca"))  # no journal
    file = tmp_path / "table.csv"
    assert main([str(tmp_path / "runs"), "--csv", str(file)]) == 0
    found = pd.read_csv(file, keep_default_na=False)
    assert list(found["people"]) == [""] * 5 + ["mismatch=0.5"] * 5
    own = found[found["seed"] == 0]
    assert list(zip(own["stage"], own["trained"], own["epoch"], strict=True)) == [
        (1, "cluster_contrast", 1),
        (1, "cluster_contrast", 2),
        (1, "cluster_contrast", 3),
        (2, "pgm", 1),
        (2, "pgm", 2),
    ]
    assert list(own["visible_ari"]) == ["0.5", "0.6", "0.7", "", ""]
    assert set(own["infrared_ari"]) == {0.1235}
    assert list(own["visible_clusters"]) == [10, 11, 12, 10, 11]
    assert set(own["visible_left_out"]) == {0.25}
    assert list(own["match_precision"]) == ["", "", "", "0.25", "0.25"]
    first = file.read_bytes()
    main([str(tmp_path / "runs" / "b"), str(tmp_path / "runs" / "a"), str(tmp_path / "runs"), "--csv", str(file)])
    assert file.read_bytes() == first


def test_columns_name_other_people_and_rows_of_ablations(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", 0)
    write_run(tmp_path / "runs" / "b", 0, 0.1, people="synthetic:size=tiny,seed=1")
    write_run(tmp_path / "runs" / "c", 0, 0.2, {"ablation": "pgm-sysu_all-1: a row: of its own"})
    main([str(tmp_path / "runs"), "--csv", str(tmp_path / "table.csv")])
    found = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert list(zip(found["row"], found["people"], strict=True)) == [
        *[("", "")] * 5,
        *[("", "seed=1 size=tiny")] * 5,
        *[("a row: of its own", "")] * 5,
    ]
    assert set(found[found["row"] != ""]["visible_ari"]) == {"0.2", "0.3", "0.4", ""}
    write_run(tmp_path / "runs" / "d", 0, 0.3)
    with pytest.raises(SystemExit, match=r"two runs should be equal but differ: .* method pgm.* seed 0"):
        main([str(tmp_path / "runs")])


def test_rows_in_the_file_stay_when_others_are_added(tmp_path: Path) -> None:
    for seed, run in enumerate("ab"):
        write_run(tmp_path / "runs" / run, 10 - seed)
    whole, file = tmp_path / "whole.csv", tmp_path / "table.csv"
    main([str(tmp_path / "runs"), "--csv", str(whole)])
    main([str(tmp_path / "runs" / "a"), "--csv", str(file)])
    main([str(tmp_path / "runs" / "b"), "--csv", str(file), "--add"])
    assert file.read_bytes() == whole.read_bytes()
    main([str(tmp_path / "runs" / "a"), "--csv", str(file), "--add"])  # once more: nothing new
    assert file.read_bytes() == whole.read_bytes()
    write_run(tmp_path / "runs" / "a", 10, first=0.2)
    with pytest.raises(SystemExit, match=r"two runs should be equal but differ: .* seed 10"):
        main([str(tmp_path / "runs" / "a"), "--csv", str(file), "--add"])
    with pytest.raises(SystemExit):
        main([str(tmp_path / "runs" / "a"), "--add"])
    assert file.read_bytes() == whole.read_bytes()


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no finished runs with results"):
        main([str(tmp_path)])
    write_record(tmp_path / "record.json", make_record("untrained"))
    (tmp_path / "journal.jsonl").write_text("")
    with pytest.raises(SystemExit, match="no finished runs with results"):
        main([str(tmp_path)])
