"""First steps in four commands: list, run, report, site."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = "--method sclhm --protocol sysu_all --data synthetic:size=tiny --schedule quick"


def test_from_the_list_of_methods_to_a_site(tmp_path: Path) -> None:
    assert "sclhm" in ask(tmp_path, "--list")
    told = ask(tmp_path, RUN)
    (run,) = (tmp_path / "runs" / "sysu_all").glob("sclhm-seed0-*")
    assert str(run.relative_to(tmp_path) / "record.json") in told
    shutil.rmtree(run / "report")  # a run draws one already
    report = tmp_path / ask(tmp_path, f"report {run.relative_to(tmp_path)}").strip()
    assert report.read_text().startswith("# ")
    assert {"losses.png", "tsne.png"} <= {path.name for path in report.parent.iterdir()}
    index = tmp_path / ask(tmp_path, "site").strip()
    assert (index.parent / "methods" / "sclhm.html").exists()
    page = index.parent / "runs" / "local" / f"sysu_all-{run.name}" / "index.html"
    assert "losses.svg" in page.read_text()


def ask(folder: Path, words: str) -> str:
    """Run ``python run.py`` and return its output; it must succeed."""
    done = subprocess.run([sys.executable, ROOT / "run.py", *words.split()], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
