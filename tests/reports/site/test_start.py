"""First page: results as dots with intervals, the board, the methods; explanations of terms."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from scipy import stats

from tests.leaderboard.records import make_record
from tests.reports.site.conftest import Made
from usvi_bench.core.metrics import METRICS
from usvi_bench.leaderboard.board import board_sections
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.site.intervals import draw_axis, draw_rows, half_interval
from usvi_bench.reports.site.overview import FIRST, FURTHER, main_sections, method_table, panels
from usvi_bench.reports.site.render import breakable
from usvi_bench.reports.site.terms import explained, explanation


def positions(drawing: str, kind: str) -> list[float]:
    """Return the horizontal positions of elements in percent of the width."""
    return [float(x) for x in re.findall(rf'<\w+{kind}[^>]*? (?:cx|x1|x2)="([\d.]+)%"', drawing)]


def test_an_interval_is_that_of_scipy() -> None:
    values = [0.31, 0.35, 0.30, 0.42]
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert half_interval(values) == pytest.approx((high - low) / 2)
    assert half_interval([0.3]) == 0


def test_dots_lines_and_seeds_are_at_their_scores() -> None:
    values = [0.30, 0.32, 0.34]
    (cell, single) = draw_rows([pd.Series(values), pd.Series([0.5])], chance=0.05)
    top = 0.5
    reach = half_interval(values)
    found = re.findall(r'class="reach" x1="([\d.]+)%" x2="([\d.]+)%"', str(cell.drawing))
    assert [float(x) for x in found[0]] == pytest.approx([100 * (0.32 + s * reach) / top for s in (-1, 1)], abs=0.01)
    assert positions(str(cell.drawing), ' class="seed"') == pytest.approx([100 * v / top for v in values], abs=0.01)
    assert positions(str(cell.drawing), ' class="chance"') == pytest.approx([10], abs=0.01)
    assert "reach" not in single.drawing
    assert re.findall(r'<circle cx="([\d.]+)%"', str(single.drawing)) == ["100.00"]
    assert cell.value == pytest.approx(0.32)


@pytest.mark.parametrize(
    ("highest", "ticks"), [(0.5, "0 10 20 30 40 50"), (0.09, "0 2 4 6 8 10"), (0.91, "0 20 40 60 80 100")]
)
def test_the_scale_has_few_round_ticks(highest: float, ticks: str) -> None:
    assert " ".join(re.findall(r">(\d+)</text>", draw_axis([pd.Series([highest])]))) == ticks


def test_a_row_without_scores_has_no_dot() -> None:
    cells = draw_rows([pd.Series([float("nan")]), pd.Series([0.2])], None)
    assert [bool(cell.drawing) for cell in cells] == [False, True]


def test_the_first_page_has_data_results_and_methods_and_no_knob(made: Made) -> None:
    text = (made.site / "index.html").read_text()
    parts = ["All people here are synthetic", "<table", ">sclhm<", ">chance<", "<h2>Methods</h2>", "methods/sclhm.html"]
    places = [text.index(part) for part in parts]
    assert places[:4] == sorted(places[:4])
    assert places[3] < places[4]
    assert "compares 2 methods" in " ".join(text.split())
    assert text.count("<table") == 1
    assert "leaderboard.html#sysu_all" in text
    assert "knobs.html" in text


def test_panels_are_short_tables_of_the_main_sections() -> None:
    records = {f"{p}.json": make_record("adca", protocol=p) for p in ("sysu_all", "sysu_indoor")}
    released = make_record("hil", config={"method": {"form": "released"}})
    sections = board_sections(score_tables({**records, "hil.json": released}), [])
    assert len(sections) == 3
    assert [s.scores.key.form for s in main_sections(sections)] == ["repaired"] * 2
    assert [s.scores.key.form for s in main_sections(sections[2:])] == [sections[2].scores.key.form]
    for panel, columns in zip(panels(sections), (FIRST, FURTHER), strict=True):
        assert [c for c in columns if c in panel.table.columns] == list(panel.table.columns)
        assert panel.seeds == 1


def test_the_table_of_a_method_has_a_row_for_each_protocol() -> None:
    records = {f"{p}.json": make_record("adca", 0, [0.3], protocol=p) for p in ("sysu_all", "sysu_indoor")}
    sections = board_sections(score_tables(records), [])
    table = method_table("adca", sections, "synthetic people")
    assert table is not None
    assert table.title == "Results on synthetic people"
    assert [row.cells[0].text for row in table.rows] == ["SYSU-MM01-like, all search", "SYSU-MM01-like, indoor search"]
    assert method_table("pgm", sections, "synthetic people") is None


TERMS = ["setting", "headline", "oracle", "form", "start", "chance", "seeds", *METRICS]


@pytest.mark.parametrize("term", TERMS)
def test_terms_are_explained(term: str) -> None:
    assert explanation(term).endswith(".")
    assert explained(term) == f'<abbr title="{escape(explanation(term))}">{term}</abbr>'


def test_words_around_terms_stay_and_are_escaped() -> None:
    assert explained("other words") == "other words"
    assert explained("<b>, chance") == f'&lt;b&gt;, <abbr title="{explanation("chance")}">chance</abbr>'
    assert explanation("Start") == explanation("start")
    assert explanation("student mAP").startswith(explanation("mAP"))


def test_long_names_break_between_their_parts_only() -> None:
    assert breakable("regdb_i2v/soft_prototype-seed0") == ("regdb_<wbr>i2v/<wbr>soft_<wbr>prototype-<wbr>seed0")
    assert breakable("hil (form=repaired)") == "hil (form=repaired)"
    assert breakable("<b>" * 9) == "&lt;b&gt;" * 9
