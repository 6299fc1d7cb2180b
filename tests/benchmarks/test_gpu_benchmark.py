"""Rehearsal of the GPU benchmark on a processor and on the pretended device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.pretended_cuda import guard
from usvi_bench.benchmarks import gpu, gpu_pieces
from usvi_bench.benchmarks.gpu_page import page
from usvi_bench.benchmarks.gpu_workload import TINY, Workload
from usvi_bench.benchmarks.methods import PARENT
from usvi_bench.engine.optimiser import Optimiser

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
REHEARSAL = ["--device", "cpu", "--tiny"]


def files(folder: Path) -> tuple[dict[str, Any], str]:
    return json.loads((folder / "gpu.json").read_text()), (folder / "gpu.md").read_text()


def test_a_rehearsal_writes_figures_and_a_page(tmp_path: Path) -> None:
    sections = ["--sections", "ceilings", "parent", "embedding", "scoring"]
    assert gpu.main([*REHEARSAL, "--out", str(tmp_path), *sections]) == 0
    figures, text = files(tmp_path)
    assert figures["ceilings"]["fp32"]["encoder_ms"] > 0
    found = figures["parent"][PARENT]
    assert found["clusters"][0] >= 2
    assert found["operations"] > 100
    assert found["launches"] == found["waits"] == 0
    epoch = figures["embedding"]["bf16"]["all_images_s"] + found["label_s"] + found["begin_epoch_s"]
    assert f"| {epoch + 0.2 * found['step_ms']:.1f} |" in text
    assert figures["scoring"]["sysu_all"]["queries"] > 0


def test_a_piece_that_fails_is_named_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(gpu_pieces, "ceiling", fail)
    sections = ["--sections", "ceilings", "embedding"]
    assert gpu.main([*REHEARSAL, "--out", str(tmp_path), *sections]) == 1
    figures, text = files(tmp_path)
    assert figures["ceilings"]["bf16"] == {"error": "RuntimeError: out of memory"}
    assert "* bf16: RuntimeError: out of memory" in text
    assert figures["embedding"]["bf16"]["images_per_s"] > 0


def test_it_ends_in_time(tmp_path: Path) -> None:
    assert gpu.main([*REHEARSAL, "--out", str(tmp_path), "--minutes", "0.01", "--sections", "methods", "compile"]) == 1
    figures, _ = files(tmp_path)
    assert all(found == {"error": "no time left"} for found in figures["machine"].values())
    assert "methods" not in figures, "without a workload nothing is measured"


def test_a_training_repeats_and_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Workload(TINY, CPU)
    try:
        found = gpu_pieces.deterministic(load, ["supervised"], "fp32")
        assert found["repeated_equal"] is found["resumed_equal"] is True
        assert found["without_deterministic_kernel"] == {PARENT: [], "supervised": []}
        monkeypatch.setattr(Optimiser, "load", lambda *_: None)
        assert not gpu_pieces.deterministic(load, [], "fp32")["resumed_equal"], "the optimiser's state matters"
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_page_names_operations_without_a_deterministic_kernel() -> None:
    lacking = {"pgm": ["cumsum_cuda_kernel"], "hil": []}
    figures = {"repeated_equal": True, "resumed_equal": True, "without_deterministic_kernel": lacking}
    text = page({"workload": "tiny", "deterministic": {PARENT: figures}})
    assert "| True | True | pgm: cumsum_cuda_kernel |" in text


@pytest.mark.skipif(guard.missing() is not None, reason=f"no pretended device: {guard.missing()}")
def test_a_rehearsal_on_the_pretended_device(tmp_path: Path) -> None:
    words = ["--device", "cuda", "--tiny", "--out", str(tmp_path), "--sections", "parent"]
    code = (
        "import sys; from tests.pretended_cuda import guard; guard.load()\n"
        "from tests.pretended_cuda.device import pretended_cuda\n"
        "with pretended_cuda():\n"
        "    from usvi_bench.benchmarks.gpu import main\n"
        f"    sys.exit(main({words}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures, _ = files(tmp_path)
    assert figures["machine"]["machine"]["gpu"]
    assert figures["parent"][PARENT]["step_ms"] > 0
