from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from usvi_bench.benchmarks.peer_tasks import Side, Task
from usvi_bench.benchmarks.peers import compare, describe, main

ROOT = Path(__file__).resolve().parents[2]
RELEASED = """
import numpy as np
def compute_jaccard_distance(features, k1, k2, print_flag, search_option):
    assert (k1, k2, print_flag, search_option) == (30, 6, False, 3)
    return np.maximum(1 - (features @ features.T).numpy(), 0)
"""


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "usvi_bench.benchmarks.peers", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_all_sides_are_measured_in_one_run_and_agree(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    file, folder = tmp_path / "peers.json", tmp_path / "released" / "clustercontrast" / "utils"
    folder.mkdir(parents=True)
    (folder / "faiss_rerank.py").write_text(RELEASED)
    size = ["--sizes", "300", "--labels", "150", "--dim", "32", "--gallery", "200", "--queries", "5", "--rounds", "1"]
    done = run(*size, "--cluster-contrast", str(tmp_path / "released"), "--json", str(file))
    assert done.returncode == 0, done.stderr
    table = json.loads(file.read_text())
    search, labels, ranking = table["rows"]
    assert len(search["rows"]) == 5
    for name, row in search["rows"].items():
        assert row["ratio"] > 0
        assert row["agreement"] == (None if name == "half product" else pytest.approx(1, abs=1e-3))
    assert labels["rows"]["literal Jaccard + DBSCAN"]["agreement"] == 1
    assert set(labels["rows"]) == {"usvi-bench", "literal Jaccard + DBSCAN", "cluster-contrast, released"}
    assert list(ranking["missing"]) == ["fast-reid, Cython"]
    assert "fast-reid, Cython is left out: --fast-reid FOLDER" in done.stdout
    assert {"cpu", "environment", "commit"} <= set(table["machine"])


def test_a_folder_without_the_released_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["peers", "--fast-reid", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert f"--fast-reid {tmp_path}: there is no fastreid/evaluation/rank_cylib/rank_cy" in capsys.readouterr().err


def test_ratios_are_medians_over_rounds_and_missing_peers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1.0, 3.0, 2.0, 2.0, 1.0, 5.0])

    class Taken:
        cpu = 0.0

    def measured(call: object, **_: object) -> tuple[object, Taken]:
        taken = Taken()
        taken.cpu = next(seconds)
        return call(), taken  # type: ignore[operator]

    monkeypatch.setattr("usvi_bench.benchmarks.peers.measured", measured)
    sides = [Side("ours", np.sum), Side("peer", np.max), Side("absent", np.min, "pip install absent")]
    result = compare(Task("sum", np.array([1, 2]), None, sides, lambda a, b: float(a - b)), 3)
    assert result["rows"]["peer"] == {"cpu": 3.0, "seconds": [3.0, 2.0, 5.0], "ratio": 3.0, "agreement": 1.0}
    assert "absent is left out: pip install absent" in describe(result)
    assert "| sum | peer | 3.00 | 3.00 | 1.0000 |" in describe(result)
