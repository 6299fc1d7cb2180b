from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_it_measures_every_case_and_agrees_with_the_loop(tmp_path: Path) -> None:
    file = tmp_path / "scoring.json"
    options = ["--people", "4", "--sizes", "400", "--repeats", "2", "--json", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "usvi_bench.benchmarks.scoring", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text())
    assert {"cpu", "cores", "memory_gib", "environment", "commit"} <= set(result["machine"])
    rows = result["rows"]
    cases = ["sysu_all", "regdb", "gallery 400"]
    assert [(row["case"], row["path"]) for row in rows] == [
        (c, p) for c in cases for p in ("float32", "float64", "loop")
    ]
    for row in rows:
        assert 0 < row["best"] <= row["wall"] < 60
        assert row["extra_mib"] < 200
        if row["path"] == "loop":
            assert row["same_matrix_difference"] < 1e-9
        else:
            assert row["ratio"] > 0
            assert row["difference"] < (1e-9 if row["path"] == "float64" else 0.01)
    assert all(case in done.stdout for case in cases)
