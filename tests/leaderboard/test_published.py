"""Figures of others: which of them is shown, what is said of the rest, and that the page and the plot hold them all."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.leaderboard.records import make_figure
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.leaderboard.field import build_field
from usvi_bench.leaderboard.field_plot import draw_field, draw_marks, draw_panel
from usvi_bench.leaderboard.published import (
    COLUMNS,
    PAPER_NAMES,
    choose,
    find_published,
    footnote,
    ordered,
    read_figures,
)

FILE = FOLDER / "published.csv"
LINE = "ADCA,ACM MM,2022,unsupervised,no,sysu_all,45.5,,,42.7,,secondary,tables"


def test_the_file_is_read_as_it_is_printed() -> None:
    with FILE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figures = read_figures(FILE)
    assert len(figures) == len(rows) > 100
    for figure, row in zip(figures, rows, strict=True):
        assert (figure.method, figure.source, figure.metrics.get("mAP", "")) == (
            row["method"],
            row["source"],
            row["mAP"],
        )


def test_one_figure_a_method_and_protocol() -> None:
    chosen = choose(read_figures(FILE))
    keys = [(entry.shown.method, entry.shown.protocol) for entry in chosen]
    assert len(keys) == len(set(keys)) == len({(f.method, f.protocol) for f in read_figures(FILE)})


def test_the_papers_own_figure_comes_first_and_a_log_at_odds_with_it_last() -> None:
    secondary, own = make_figure(), make_figure(evidence="own paper", metrics={"R1": "45.6"})
    repository = make_figure(evidence="own repository", metrics={"R1": "45.4"})
    log = make_figure(evidence="own repository", metrics={"R1": "47.0"}, at_odds=True)
    for figures, shown in (
        ([secondary, own, repository, log], own),
        ([secondary, repository, log], repository),
        ([log, secondary], secondary),
        ([log], log),
    ):
        assert choose(figures)[0].shown is shown


@pytest.mark.parametrize(
    ("shown", "other", "disagree"),
    [
        ("47.65", "47.7", False),
        ("47.7", "47.65", False),
        ("47.65", "47.6", False),
        ("47.65", "47.5", True),
        ("65.9", "65.90", False),
        ("65.90", "65.95", True),
    ],
)
def test_rounding_is_no_disagreement(shown: str, other: str, disagree: bool) -> None:
    figures = [
        make_figure(metrics={"mAP": shown}, evidence="own paper"),
        make_figure(metrics={"mAP": other, "R1": "1"}),
    ]
    assert bool(choose(figures)[0].others) == disagree


def test_a_footnote_names_every_figure_and_source_that_disagrees() -> None:
    log = make_figure(evidence="own repository", metrics={"R1": "47.0", "mAP": "44.0"}, source="x/y log", at_odds=True)
    assert footnote(choose([make_figure(), log])[0]) == "R1 47.0, mAP 44.0 (own repository: x/y log)"
    assert footnote(choose([make_figure()])[0]) == ""


def test_our_methods_find_their_published_figures() -> None:
    chosen = choose(read_figures(FILE))
    assert set(PAPER_NAMES) <= set(METHODS.names())
    for method, name in PAPER_NAMES.items():
        entry = find_published(chosen, method, "sysu_all", 1)
        assert entry is not None
        assert entry.shown.method == name
        assert find_published(chosen, method, "sysu_all", 10) is None
    assert find_published(chosen, "hil", "sysu_all", 1) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("45.5", "4x"), "line 2: R1 '4x' is not a figure in percent"),
        (("45.5", "145.5"), "line 2: R1 '145.5' is not a figure in percent"),
        (("secondary", "secondry"), "line 2: evidence 'secondry': did you mean secondary?"),
        (("unsupervised", "none"), "line 2: setting 'none'"),
        (("2022", "22"), "line 2: year '22' is not a year"),
        ((",tables", ""), "line 2: expected 13 cells"),
        (("tables", "a, b"), "line 2: expected 13 cells"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(",".join(COLUMNS) + "\n" + LINE.replace(*change) + "\n")
    with pytest.raises(UsageError) as caught:
        read_figures(path)
    assert message in str(caught.value)


def test_a_file_that_is_missing_or_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: No such file"):
        read_figures(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"other\.csv: expected the columns method,venue"):
        read_figures(tmp_path / "other.csv")


def test_the_page_shows_every_chosen_figure_as_printed() -> None:
    chosen = choose(read_figures(FILE))
    text = build_field(chosen)
    for entry in chosen:
        shown = entry.shown
        row = rf"^\| {re.escape(shown.method)} \|.*\| {re.escape(shown.metrics.get('mAP', '-'))} \|"
        assert re.search(row, text, re.MULTILINE), shown
        assert footnote(entry) in text
    assert text == build_field(choose(read_figures(FILE)))


def test_fewest_labels_first_then_by_map() -> None:
    entries = ordered(choose(read_figures(FILE)), "sysu_all")
    assert [entry.shown.setting for entry in entries] == sorted(
        (entry.shown.setting for entry in entries), key=["unsupervised", "semi", "supervised"].index
    )
    values = [entry.shown.value("mAP") or 0 for entry in entries if entry.shown.setting == "unsupervised"]
    assert values == sorted(values, reverse=True)


def test_the_plot_has_a_point_for_every_dated_figure_at_its_height() -> None:
    chosen = [entry for entry in choose(read_figures(FILE)) if entry.shown.year and "mAP" in entry.shown.metrics]
    root = ElementTree.fromstring(draw_field(chosen))
    titles = [node for node in root.iter() if node.tag.endswith("title")]
    assert len(titles) - 1 == len(chosen)
    panel = ElementTree.fromstring(draw_panel(choose([make_figure(metrics={"mAP": "50"})]), "sysu_all"))
    circle = next(node for node in panel.iter() if node.tag.endswith("circle"))
    lines = [node.get("d", "") for node in panel.iter() if node.get("class") == "grid"]  # at 0, 20, ... 100
    heights = [float(re.findall(r"[\d.]+", line)[1]) for line in lines]
    assert float(circle.get("cy", "nan")) == pytest.approx((heights[0] + heights[-1]) / 2, abs=0.1)
    assert draw_panel([], "sysu_all") == ""
    assert len(draw_marks()) == 3


def test_the_plot_names_the_method_that_led_and_escapes_it() -> None:
    figures = [make_figure(metrics={"mAP": "40"}), make_figure(method="A<B", metrics={"mAP": "60"}, year=2024)]
    svg = draw_panel(choose(figures), "sysu_all")
    names = [node.text for node in ElementTree.fromstring(svg).iter() if node.get("class") == "name"]
    assert names == ["ADCA", "A<B"]
