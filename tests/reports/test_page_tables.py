"""Generation of documentation tables; test_figures_in_pages.py checks their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from usvi_bench.core.errors import UsageError
from usvi_bench.core.revision import ROOT
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.reports.pages.__main__ import PAGES, main
from usvi_bench.reports.pages.diagnosis_tables import joint_table, part_table
from usvi_bench.reports.pages.fill import fill_page
from usvi_bench.reports.pages.page_table import PageTable, format_each, format_mean_sd
from usvi_bench.reports.pages.score_tables import (
    corruption_table,
    form_table,
    grid_table,
    lead_table,
    level_table,
    people_table,
)
from usvi_bench.reports.pages.sources import CONTROL, Sources
from usvi_bench.reports.pages.specs import BY_NAME, TABLES

PAGE = """Text before.

<!-- table: {name} -->

{table}

<!-- end of table -->

| a table | of its own |
|:--|--:|
| stays | 1 |
"""
SCORES = PageTable("scores", ["", "mAP"], lambda _: [["`untrained`", "27.3"], ["chance", "4.4"]])
MADE = "|  | mAP |\n| :-- | --: |\n| `untrained` | 27.3 |\n| chance | 4.4 |"


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(FOLDER)


def test_the_committed_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().err


def test_every_specified_table_is_on_a_page() -> None:
    assert len(BY_NAME) == len(TABLES), "two tables of one name"
    marks = [re.findall(r"<!-- table: (.*?) -->", (ROOT / page).read_text()) for page in PAGES]
    assert all(len(set(found)) == len(found) for found in marks), "a page has a table twice"
    assert {name for found in marks for name in found} == set(BY_NAME)


def test_every_page_of_findings_is_checked() -> None:
    findings = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("findings*/*.md")]
    assert "docs/findings/parts.md" in findings
    assert {*findings, "docs/findings.md"} <= set(PAGES)


def test_every_table_of_figures_in_the_findings_is_generated() -> None:
    text = "".join((ROOT / page).read_text() for page in PAGES if "findings" in page)
    text = re.sub(r"<!-- table: .*?<!-- end of table -->", "", text, flags=re.DOTALL)
    assert not re.findall(r"^\|.*$", text, re.MULTILINE)


@pytest.mark.parametrize("old", ["", "| |\n|--|\n| other |", MADE.replace("27.3", "99.9"), MADE])
def test_only_the_content_between_the_marks_is_replaced(sources: Sources, old: str) -> None:
    page = PAGE.format(name="scores", table=old)
    assert fill_page(page, {"scores": SCORES}, sources) == PAGE.format(name="scores", table=MADE)
    twice = fill_page(page + page, {"scores": SCORES}, sources)
    assert twice == 2 * PAGE.format(name="scores", table=MADE)


def test_figures_are_shown_with_spread_and_sign() -> None:
    assert format_mean_sd(pd.Series({0: 1.0, 1: 2.0})) == "1.5 ± 0.7"
    assert format_mean_sd(pd.Series({0: 1.26}), sign=True) == "+1.3"
    assert format_mean_sd(pd.Series({0: -0.04}), sign=True) == "0.0"
    assert format_mean_sd(pd.Series(dtype=float)) == format_each(pd.Series(dtype=float)) == "-"
    assert format_each(pd.Series({1: -0.01, 0: -2.0})) == "-2.0, 0.0"


def test_columns_that_list_figures_are_left_aligned(sources: Sources) -> None:
    table = PageTable("t", ["", "n", "by seed"], lambda _: [["a", "2", "1, 2"]])
    assert table.markdown(sources) == "|  | n | by seed |\n| :-- | --: | :-- |\n| a | 2 | 1, 2 |"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lead_table("t", "sysu_all", over="nobody"), "nobody, sysu_all: 0 found; expected exactly one"),
        (lambda: lead_table("t", "sysu_indoor", over=CONTROL), "grid of sclhm: no folder .*sclhm-sysu_indoor"),
        (lambda: corruption_table("t", ("sysu_all", "nothing")), "table of nothing on people 1000: 0 found"),
        (lambda: people_table("t", {"sysu_all": 7}), "table of sysu_all on people 7: 0 found"),
        (lambda: form_table("t", "adca"), "adca, sysu_all: 0 found"),
        (lambda: level_table("t", "foreign", [0, 0.123], "pgm"), r"foreign=0\.123: no run of pgm"),
        (lambda: joint_table("t", ("dmic", "no row")), r"settings of dmic, no row in label_quality\.csv: 0 found"),
        (lambda: part_table("hil", ["no such figure"]), "'no such figure' of hil: missing for some runs"),
        (lambda: grid_table("nobody"), "grid of nobody: no folder"),
    ],
)
def test_a_missing_figure_is_named(sources: Sources, make: Callable[[], PageTable], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make().markdown(sources)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (PAGE.format(name="score", table=""), "table: score: did you mean scores"),
        (PAGE.format(name="scores", table="").replace("end of", "ends"), "<!-- table: scores --> lacks its <!-- end"),
        (
            "<!-- table: scores -->\n" + PAGE.format(name="scores", table=""),
            "<!-- table: scores --> lacks its <!-- end",
        ),
        (PAGE.format(name="scores", table="") + "<!-- end of table -->", "end of table --> lacks its <!-- table"),
        ("<!-- end of table -->\n" + PAGE.format(name="scores", table=""), "end of table --> lacks its <!-- table"),
    ],
)
def test_wrong_marks_are_named(sources: Sources, page: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fill_page(page, {"scores": SCORES}, sources)


def test_pages_are_written_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(name="scores", table="old"))
    monkeypatch.setattr("usvi_bench.reports.pages.__main__.PAGES", [page.name])
    monkeypatch.setattr("usvi_bench.reports.pages.__main__.ROOT", tmp_path)
    monkeypatch.setattr("usvi_bench.reports.pages.__main__.BY_NAME", {"scores": SCORES})
    assert main([]) == 1
    message = capsys.readouterr().err
    assert "page.md: out of date: run python -m reports.pages --write" in message
    assert "docs/scores.svg: out of date" in message
    assert not (tmp_path / "docs").exists()
    assert page.read_text() == PAGE.format(name="scores", table="old")
    assert main(["--write"]) == 0
    assert page.read_text() == PAGE.format(name="scores", table=MADE)
    assert main([]) == 0
    page.write_text(PAGE.format(name="score", table=""))
    assert main(["--write"]) == 2
    assert "error: page.md: table: score: did you mean scores" in capsys.readouterr().err
