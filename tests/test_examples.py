"""Examples, run in an empty folder with nothing but the package installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
MINIMAL = ROOT / "examples" / "minimal.py"
NOTEBOOK = ROOT / "examples" / "api.ipynb"


def script(path: Path, folder: Path, *words: str, cache: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "USVI_CACHE": str(cache)}
    command = [sys.executable, str(path), *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_minimal_example_trains_and_scores(tmp_path: Path, cache: Path, tiny_people: dict[str, Path]) -> None:
    assert len(MINIMAL.read_text().splitlines()) <= 80
    out = script(MINIMAL, tmp_path, "1", cache=cache)
    assert re.search(r"before training: mAP \d+\.\d", out)
    assert re.search(r"epoch 1: loss \d+\.\d\d, \d+ \+ \d+ clusters, mAP \d+\.\d", out)


def test_a_script_without_a_main_guard_may_make_synthetic_people(tmp_path: Path) -> None:
    """Rendering processes must not run the script again; each would wait for the lock of its parent."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import usvi_bench\n"
        "print('begins')\n"
        "print(len(usvi_bench.open_data('sysu_all', 'synthetic:size=tiny').train(1).visible))\n"
    )
    out = script(path, tmp_path, cache=tmp_path / "cache")
    assert out.count("begins") == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs_and_shows_plain_progress(
    tmp_path: Path, cache: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("USVI_CACHE", str(cache))
    notebook = nbformat.read(NOTEBOOK, 4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.get("text", "") or output.data["text/plain"] for output in outputs)
    assert re.search(r"epoch +6/6 .*clusters \d+\+\d+", text)
    assert re.search(r"mAP +0\.\d+ +0\.\d+", text)
    assert re.search(r"chance: rank-1 0\.\d{3}, mAP 0\.\d{3}", text)
    assert "\x1b" not in text
    assert "\r" not in text
