"""Tests of published figures: the choice of a figure, footnotes, and completeness of page and plot."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Text

from tests.leaderboard.records import make_figure
from usvi_bench.core.errors import UsageError
from usvi_bench.core.figure_style import styled
from usvi_bench.core.registry import METHODS
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.leaderboard.published import (
    COLUMNS,
    PAPER_NAMES,
    Published,
    choose,
    find_published,
    footnote,
    ordered,
    read_figures,
)
from usvi_bench.leaderboard.published_page import build_published
from usvi_bench.leaderboard.published_plot import (
    LOOKS,
    SIZES,
    digest_in,
    draw_published,
    figure_digest,
    published_figure,
)
from usvi_bench.leaderboard.score_table import PROTOCOLS
from usvi_bench.reports.site.published import describe_published

FILE = FOLDER / "published.csv"
LINE = "ADCA,ACM MM,2022,unsupervised,no,sysu_all,45.5,,,42.7,,secondary,tables"


def test_the_file_keeps_printed_decimals() -> None:
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


def test_one_figure_per_method_and_protocol() -> None:
    chosen = choose(read_figures(FILE))
    keys = [(entry.shown.method, entry.shown.protocol) for entry in chosen]
    assert len(keys) == len(set(keys)) == len({(f.method, f.protocol) for f in read_figures(FILE)})


def test_the_figure_of_the_paper_comes_first_and_a_contradicting_log_last() -> None:
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
def test_rounding_is_not_a_disagreement(shown: str, other: str, disagree: bool) -> None:
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
        (("45.5", "4x"), "line 2: R1 '4x' is not a percentage from 0 to 100"),
        (("45.5", "145.5"), "line 2: R1 '145.5' is not a percentage from 0 to 100"),
        (("secondary", "secondry"), "line 2: evidence 'secondry': did you mean secondary?"),
        (("unsupervised", "none"), "line 2: setting 'none'"),
        (("2022", "22"), "line 2: year '22' is not a year"),
        ((",tables", ""), "line 2: expected 13 cells"),
        (("tables", "a, b"), "line 2: expected 13 cells"),
    ],
)
def test_errors_name_the_line_and_the_value(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(",".join(COLUMNS) + "\n" + LINE.replace(*change) + "\n")
    with pytest.raises(UsageError) as caught:
        read_figures(path)
    assert message in str(caught.value)


def test_a_missing_or_different_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: No such file"):
        read_figures(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"other\.csv: expected the columns method,venue"):
        read_figures(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text + text.splitlines(keepends=True)[-1], "repeats an earlier line; remove one"),
        (lambda text: text.replace("AGW", "A\x1b[2JGW", 1), r"line 2: method 'A\\x1b\[2JGW' holds control characters"),
        (lambda text: text.replace("2021", "\u0662\u0660\u0662\u0661", 1), "is not a year"),
        (lambda text: text + "x" * 200_000, "not a CSV file in UTF-8 .*; restore it"),
    ],
)
def test_repeated_unprintable_and_long_cells_are_refused(tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(change((FOLDER / "published.csv").read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_figures(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_bytes((FOLDER / "published.csv").read_text(encoding="utf-8").encode("utf-16"))
    with pytest.raises(UsageError, match="not a CSV file in UTF-8"):
        read_figures(path)


def test_the_page_shows_every_chosen_figure_as_printed() -> None:
    chosen = choose(read_figures(FILE))
    text = build_published(chosen)
    for entry in chosen:
        shown = entry.shown
        row = rf"^\| {re.escape(shown.method)} \|.*\| {re.escape(shown.metrics.get('mAP', '-'))} \|"
        assert re.search(row, text, re.MULTILINE), shown
        assert footnote(entry) in text
    assert text == build_published(choose(read_figures(FILE)))


def test_fewest_labels_first_then_by_map() -> None:
    entries = ordered(choose(read_figures(FILE)), "sysu_all")
    assert [entry.shown.setting for entry in entries] == sorted(
        (entry.shown.setting for entry in entries), key=["unsupervised", "semi", "supervised"].index
    )
    values = [entry.shown.value("mAP") or 0 for entry in entries if entry.shown.setting == "unsupervised"]
    assert values == sorted(values, reverse=True)


def panels(published: list[Published]) -> dict[str, Axes]:
    with styled(SIZES):
        figure = published_figure(published)
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def marks(axes: Axes) -> list[tuple[float, float, Line2D]]:
    """List the points of a panel with their line objects."""
    drawn = [line for line in axes.get_lines() if line.get_marker() != "None"]
    return [(x, y, line) for line in drawn for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def names(axes: Axes) -> list[Text]:
    return [text for text in axes.texts if text.get_text()]


def dated(protocol: str) -> list[Published]:
    chosen = (
        entry for entry in choose(read_figures(FILE)) if entry.shown.protocol == protocol and not entry.shown.is_variant
    )
    return [entry for entry in chosen if entry.shown.year and "mAP" in entry.shown.metrics]


DRAWN = [name for name in PROTOCOLS if any(figure.protocol == name for figure in read_figures(FILE))]
"""Protocols with published figures; those of corrupted images have none."""


@pytest.mark.parametrize("protocol", DRAWN)
def test_the_plot_has_a_marker_for_every_dated_figure(protocol: str) -> None:
    axes = panels(choose(read_figures(FILE)))[PROTOCOLS[protocol]]
    found = sorted(
        (y, round(x), line.get_marker(), line.get_markerfacecolor() != "white") for x, y, line in marks(axes)
    )
    assert found == sorted(
        (float(f.metrics["mAP"]), f.year, LOOKS[f.setting][1], f.evidence in ("own paper", "own repository"))
        for f in (entry.shown for entry in dated(protocol))
    )
    places = [(x, y) for x, y, _ in marks(axes)]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("protocol", DRAWN)
def test_the_plot_names_the_best_method_of_each_year_without_overlaps(protocol: str) -> None:
    axes = panels(choose(read_figures(FILE)))[PROTOCOLS[protocol]]
    best, leading = 0.0, {}
    unsupervised = [entry.shown for entry in dated(protocol) if entry.shown.setting == "unsupervised"]
    for figure in sorted(unsupervised, key=lambda figure: (figure.year, figure.value("mAP"))):
        if (figure.value("mAP") or 0) > best:
            best, leading[figure.year] = figure.value("mAP") or 0, figure.method.partition(" (")[0]
    assert [name.get_text() for name in names(axes)] == list(leading.values())
    boxes = [name.get_window_extent() for name in names(axes)]
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:i])
        assert axes.bbox.contains(*box.min)
        assert axes.bbox.contains(*box.max)
        assert not any(box.contains(*axes.transData.transform((x, y))) for x, y, _ in marks(axes))


def test_a_name_without_room_is_left_out() -> None:
    long = "a name as long as the whole panel, or longer, which nothing can place anywhere inside of its four borders"
    (axes,) = panels(choose([make_figure(method=long)])).values()
    assert not names(axes)
    assert len(marks(axes)) == 1


def test_lines_follow_the_best_so_far() -> None:
    values = {2021: "30", 2022: "50", 2023: "40", 2024: "60"}
    figures = [make_figure(method=f"M{year}", year=year, metrics={"mAP": value}) for year, value in values.items()]
    (axes,) = panels(choose(figures)).values()
    (line,) = (line for line in axes.get_lines() if line.get_marker() == "None" and len(line.get_xdata()))
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [
        (2021, 30),
        (2022, 50),
        (2024, 60),
        (2024.5, 60),
    ]
    assert line.get_drawstyle() == "steps-post"


def test_the_file_is_deterministic_and_stores_the_digest() -> None:
    chosen = choose([make_figure(method="A<B"), make_figure(protocol="regdb_v2i")])
    made = draw_published(chosen)
    assert made == draw_published(chosen)
    ElementTree.fromstring(made)
    assert digest_in(made) == figure_digest(chosen)
    assert digest_in(b"<svg/>") is None
    assert b"<dc:date>" not in made


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"method": "PGM"}, True),
        ({"year": 2023}, True),
        ({"setting": "semi"}, True),
        ({"evidence": "own paper"}, True),
        ({"metrics": {"R1": "45.5", "mAP": "42.8"}}, True),
        ({"protocol": "sysu_indoor"}, True),
        ({"metrics": {"R1": "45.6", "mAP": "42.7"}}, False),
        ({"source": "elsewhere"}, False),
    ],
)
def test_the_digest_covers_exactly_the_drawn_figures(changes: dict[str, object], shown: bool) -> None:
    before, after = (figure_digest(choose([make_figure(**each)])) for each in ({}, changes))
    assert (before != after) is shown
    assert figure_digest(choose([make_figure(), make_figure(method="none", year=None)])) == before


def test_without_dated_figures_there_is_no_panel() -> None:
    assert panels(choose([make_figure(year=None)])) == {}
    ElementTree.fromstring(draw_published([]))


def test_the_use_of_camera_labels_is_a_known_word(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    line = "A,V,2024,unsupervised,maybe,sysu_all,1,,,2,,secondary,table"
    path.write_text("\n".join([",".join(COLUMNS), line]) + "\n")
    with pytest.raises(UsageError, match="line 2: uses_camera_labels 'maybe'"):
        read_figures(path)
    cameras = {f.method: f.cameras for f in read_figures(FOLDER / "published.csv") if f.protocol == "sysu_all"}
    assert {cameras[name] for name in ("ADCA", "PGM", "PCLHD", "SDCL")} == {"sampler"}
    assert {cameras[name] for name in ("DMIC", "CEIL", "CLNS")} == {"yes"}


def test_re_ranked_results_and_rows_of_ablations_are_in_the_tables_but_not_in_the_plot() -> None:
    published = choose(read_figures(FOLDER / "published.csv"))
    page = build_published(published)
    for name in ("CEIL + GCR re-ranking", "ASM (CAM + L_csc)"):
        assert name in page
        assert name not in describe_published(published)
    variants = {entry.shown.method for entry in published if entry.shown.is_variant}
    assert {name for name in variants if not name.startswith("ASM (")} == {"CEIL + GCR re-ranking"}
    assert "CEIL" not in variants
