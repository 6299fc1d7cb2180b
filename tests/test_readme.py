"""README and the findings are short and complete."""

from __future__ import annotations

import re
from pathlib import Path

from usvi_bench.core.registry import METHODS
from usvi_bench.engine.load_config import load_config, parse_settings

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_is_short_and_begins_with_a_picture_and_the_scores() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    rows = 2 * len(METHODS.own_names())  # of the scores, and of the methods
    assert len(lines) - rows <= 126, "README.md: 126 lines besides the rows of the methods"
    first_screen = "\n".join(lines[:40])
    assert "docs/scores.svg" in first_screen
    assert "<!-- table: scores -->" in first_screen
    assert "All results are on synthetic people" in first_screen


def test_the_findings_are_on_one_page_with_limits_and_figures() -> None:
    text = (ROOT / "docs/findings.md").read_text()
    assert len(text.splitlines()) <= 300
    parts = re.split(r"^## (\d+)\. ", text, flags=re.MULTILINE)[1:]
    assert parts[::2] == [str(number) for number in range(1, 11)]
    for number, part in zip(parts[::2], parts[1::2], strict=True):
        assert "*Limits.*" in part, number
        assert re.search(r"^\| |!\[|<img|first figure", part, re.MULTILINE), f"{number}: neither a table nor a figure"


def test_the_methods_table_names_every_method() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    lacking = set(METHODS.names()) - set(rows)
    assert not lacking, f"README.md: add a row to the table below '## Methods': {sorted(lacking)}"


def test_the_ablation_rows_of_the_docs_are_settings() -> None:
    for settings in re.findall(r"^\| [^|]+ \| `(method\.[^`]*)` \|$", (ROOT / "docs/methods.md").read_text(), re.M):
        load_config("sclhm", "sysu_all", profile="sysu", settings=parse_settings(settings.split()))
