"""First steps in three commands: list, demo, site."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_from_the_list_of_methods_to_a_comparison_and_a_site(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    assert "sclhm" in ask(tmp_path, "--list")
    lines = ask(tmp_path, "demo").splitlines()
    runs = [next((tmp_path / "demo/runs/sysu_all").glob(f"{name}-seed0-*")) for name in ("cluster_contrast", "pgm")]
    pages = [f"demo/comparison/{run.name}/report.html" for run in runs]
    assert [line.split()[-1] for line in lines if line.startswith("report:")] == pages
    (comparison,) = [line.split()[-1] for line in lines if line.startswith("comparison:")]
    text = (tmp_path / comparison).read_text()
    for run, page in zip(runs, pages, strict=True):
        assert f'href="{run.name}/report.html"' in text
        page_text = (tmp_path / page).read_text()
        assert f"{run.name.partition('-')[0]} on sysu_all, seed 0</h1>" in page_text
        for name in re.findall(r'(?:src|href)="([\w/.-]+)"', page_text):
            assert ((tmp_path / page).parent / name).is_file(), name
    assert {"losses.png", "tsne.png"} <= {path.name for path in (tmp_path / pages[0]).parent.iterdir()}
    assert lines[-1].endswith("run.py --method sclhm --protocol sysu_all"), "the next step"
    index = tmp_path / ask(tmp_path, "site --runs demo/runs").strip()
    assert (index.parent / "methods" / "sclhm.html").exists()
    page = index.parent / "runs" / "local" / f"sysu_all-{runs[1].name}" / "index.html"
    assert "losses.svg" in page.read_text()


def ask(folder: Path, words: str) -> str:
    """Run ``python run.py`` and return its output; it must succeed."""
    done = subprocess.run([sys.executable, ROOT / "run.py", *words.split()], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
