"""Tables in pages are filled in from committed results; what they hold is checked in test_figures_in_pages.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from usvi_bench.core.errors import UsageError
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.reports.pages.tables import PAGES, Sources, filled, main

BLOCK = """Text before.

<!-- figures: {kind} -->

{table}

<!-- end of figures -->

| a table | of its own |
|:--|--:|
| stays | 1 |
"""


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(FOLDER)


def test_the_committed_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out


def test_every_table_of_figures_in_the_findings_is_made(sources: Sources) -> None:
    text = re.sub(r"<!-- figures: .*?<!-- end of figures -->", "", PAGES[1].read_text(), flags=re.DOTALL)
    assert not re.findall(r"^\|.*$", text, re.MULTILINE)


def test_wrong_figures_are_put_right_and_the_rest_of_the_page_stays(sources: Sources) -> None:
    right = "|  | n | `sysu_all` |\n| :-- | --: | --: |\n| `untrained` | 1 | 27.3 |\n| chance | - | 4.4 |"
    wrong = "| | n | `sysu_all` |\n|:--|--:|--:|\n| `untrained` | 7 | 99.9 |\n| chance | | |"
    made = filled(BLOCK.format(kind="scores", table=wrong), sources)
    assert [cell.split() for cell in made.split("|")] == [
        cell.split()
        for cell in BLOCK.format(kind="scores", table=right.replace(" :-- | --: | --: ", ":--|--:|--:")).split("|")
    ]
    assert filled(made, sources) == made


@pytest.mark.parametrize(
    ("kind", "row", "message"),
    [
        ("score", "`pgm`", "did you mean scores"),
        ("scores", "`nobody`", "nobody, sysu_all: 0 found"),
        ("rows pgm", "no such row", "row 'no such row' of the grid of pgm: 0 found"),
        ("presets", "`hil`", "has 6 cells, the header 2"),
        ("differences", "`nobody` - `pgm`", "nobody, sysu_all: 0 found"),
        ("labels", "`nobody`", "settings of nobody in label_quality.csv: 0 found"),
        ("joint", "`dmic`, no such row", "settings of dmic, no such row in label_quality.csv: 0 found"),
        ("parts hil", "no such figure", "'no such figure' of hil: not known"),
    ],
)
def test_what_cannot_be_filled_in_is_told(sources: Sources, kind: str, row: str, message: str) -> None:
    page = BLOCK.format(kind=kind, table=f"| | `sysu_all` |\n|:--|--:|\n| {row} | |")
    with pytest.raises(UsageError, match=message):
        filled(page, sources)


def test_what_has_no_control_and_columns_that_are_misspelt_are_told(sources: Sources) -> None:
    indoor = BLOCK.format(kind="differences", table="| | `sysu_indoor` |\n|:--|--:|\n| `pgm` - continued | |")
    with pytest.raises(UsageError, match="continued: known for sysu_all only"):
        filled(indoor, sources)
    misspelt = BLOCK.format(kind="labels", table="| | n | visible ari |\n|:--|--:|--:|\n| `pgm` | | |")
    with pytest.raises(UsageError, match="did you mean visible ARI"):
        filled(misspelt, sources)
    unrun = BLOCK.format(kind="levels mismatch", table="| | n | 0.123 |\n|:--|--:|--:|\n| `pgm` | | |")
    with pytest.raises(UsageError, match=r"mismatch=0\.123: not run"):
        filled(unrun, sources)
    endless = BLOCK.format(kind="scores", table="| | `sysu_all` |\n|:--|--:|\n| `pgm` | |").replace("end of", "ends")
    with pytest.raises(UsageError, match="lacks its table"):
        filled(endless, sources)


def test_pages_are_written_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    old = BLOCK.format(kind="scores", table="|  | `sysu_all` |\n| :-- | --: |\n| `untrained` | 0 |")
    page.write_text(old)
    monkeypatch.setattr("usvi_bench.reports.pages.tables.PAGES", [page])
    monkeypatch.setattr("usvi_bench.reports.pages.tables.ROOT", tmp_path)
    assert main([]) == 1
    assert page.read_text() == old
    assert main(["--write"]) == 0
    assert page.read_text() == old.replace("| 0 |", "| 27.3 |")
