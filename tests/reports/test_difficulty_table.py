"""Tables of the difficulty of development people, with invented scores."""

from __future__ import annotations

import pandas as pd
import pytest

from usvi_bench.reports.pages.difficulty_table import criteria, criteria_lines, score_lines

SCORES = {"untrained": 30.0, "cluster_contrast": 33.0, "pgm": 36.0, "pclhd": 37.0, "dmic": 38.0, "mmm": 35.0,
          "supervised": 70.0, "HOG": 20.0}  # fmt: skip


@pytest.fixture
def rows() -> pd.DataFrame:
    """Figures of two data seeds in two layouts."""
    found = [
        {"layout": layout, "method": method, "people": people, "mAP": score + people - 100}
        for layout in ("sysu", "regdb")
        for method, score in SCORES.items()
        for people in (100, 102)
    ]
    return pd.DataFrame(found)


def test_the_table_has_mean_spread_and_gain(rows: pd.DataFrame) -> None:
    lines = {line[0]: line[1:] for line in score_lines(rows)}
    assert lines["`pgm`"] == ["37.0 ± 1.4", "+6.0"] * 2
    assert lines["`untrained`"] == ["31.0 ± 1.4", ""] * 2
    assert lines["HOG"] == ["21.0 ± 1.4", "-10.0"] * 2


def test_a_layout_that_was_not_measured_has_dashes(rows: pd.DataFrame) -> None:
    lines = {line[0]: line[1:] for line in score_lines(rows[rows["layout"] == "sysu"])}
    assert lines["`pgm`"] == ["37.0 ± 1.4", "+6.0", "-", "-"]


@pytest.mark.parametrize(
    ("method", "score", "failing"),
    [
        (None, 0.0, ""),
        ("supervised", 58.0, "`supervised` has"),
        ("supervised", 97.0, "`supervised` has"),
        ("untrained", 46.5, "`untrained` is"),
        ("HOG", 46.5, "HOG is"),
        ("mmm", 34.0, "at least 4 methods"),
    ],
)
def test_each_criterion_can_fail(rows: pd.DataFrame, method: str | None, score: float, failing: str) -> None:
    rows.loc[(rows["method"] == method) & (rows["layout"] == "sysu"), "mAP"] = score
    if method == "untrained":  # the gains of methods are not what this case is about
        rows.loc[rows["method"].isin(["pgm", "pclhd", "dmic", "mmm"]), "mAP"] = 60.0
    failed = [text for text, (_, holds) in criteria(rows, "sysu").items() if not holds]
    assert [text.startswith(failing) for text in failed] == [True] * bool(failing)
    cells = {text: figures for text, *figures in criteria_lines(rows)}
    assert all(figures[0].endswith(": no") == (text in failed) for text, figures in cells.items())
    assert all(figures[1].endswith(": yes") for figures in cells.values())


def test_methods_above_the_start_are_counted(rows: pd.DataFrame) -> None:
    *_, (text, sysu, regdb) = criteria_lines(rows)
    assert (text, sysu, regdb) == ("at least 4 methods are 5 above `untrained`", "4 of 5: yes", "4 of 5: yes")
