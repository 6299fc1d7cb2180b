"""Tables in Markdown, LaTeX and CSV: contents, escapes and omissions of each format."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from usvi_bench.core.formatting import counted, deviation, over_seeds, percent, signed
from usvi_bench.core.markdown import bullets, fill_block, page
from usvi_bench.core.table import (
    Cell,
    Link,
    Table,
    TableRow,
    gain_cell,
    markdown_table,
    percent_cell,
    to_csv,
    to_latex,
    to_markdown,
    value_cell,
    value_rows,
)

RUNS = [Link("0", "run", "a.json"), " ", Link("1", "run", "b.json", "pgm, seed 1")]


def table() -> Table:
    first = [Cell([Link("pgm", "method", "pgm")], tag="†"), percent_cell(0.4567, 0.0123, bold=True), Cell(RUNS)]
    second = [Cell("50%_a|b"), gain_cell(-0.02), Cell("-")]
    return Table("A title", ["Method", "ΔmAP", "runs"], [TableRow(first), TableRow(second, quiet=True, remark="why")])


def test_markdown_has_links_where_there_is_an_address_and_escapes_bars() -> None:
    text = to_markdown(table(), lambda link: f"records/{link.name}" if link.kind == "run" else "")
    assert text.splitlines() == [
        "| Method | ΔmAP | runs |",
        "| :-- | --: | --: |",
        "| pgm † | **45.7 ± 1.2** | [0](records/a.json) [1](records/b.json) |",
        "| 50%\\_a\\|b | -2.0 | - |",
    ]
    assert to_markdown(table()).splitlines()[2] == "| pgm † | **45.7 ± 1.2** | 0 1 |"
    assert "why" not in text, "a remark is for HTML only"


def test_markdown_keeps_a_row_on_one_line_and_aligns_words_left() -> None:
    text = markdown_table(["a", "b", "c"], [["two\nlines", None, 1.25]], words=2)
    assert text.splitlines() == ["| a | b | c |", "| :-- | :-- | --: |", "| two lines | - | 1.2 |"]
    last = Table("", ["a", "b", "c"], value_rows([[1, 2, "x"]]), left=["c"])
    assert to_markdown(last).splitlines()[1] == "| :-- | --: | :-- |"
    assert r"\begin{tabular}{lrl}" in to_latex(last, "")


def test_latex_escapes_words_and_sets_signs_in_mathematics() -> None:
    text = to_latex(table(), "made by a test", [("over_first", 2)])
    assert text.splitlines() == [
        "% made by a test",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & \multicolumn{2}{c}{over\_first} \\",
        r"\cmidrule(lr){2-3}",
        r"Method & $\Delta$mAP & runs \\",
        r"\midrule",
        r"pgm $\dagger$ & \textbf{45.7 $\pm$ 1.2} & 0 1 \\",
        r"50\%\_a\textbar{}b & $-$2.0 & - \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert "multicolumn" not in to_latex(table(), "made by a test")


@pytest.mark.parametrize("character", list("&%$#_{}\\~^<>|"))
def test_no_character_is_left_to_latex(character: str) -> None:
    row = to_latex(Table("", ["x"], value_rows([[f"a{character}b"]])), "").splitlines()[-3]
    assert row.startswith(("a\\" + character + "b", r"a\text"))


def test_two_groups_of_columns_have_their_rules() -> None:
    wide = Table("", list("abcde"), value_rows([[1, 2, 3, 4, 5]]))
    lines = to_latex(wide, "", [("x", 2), ("y", 2)]).splitlines()
    assert lines[3] == r" & \multicolumn{2}{c}{x} & \multicolumn{2}{c}{y} \\"
    assert lines[4] == r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}"


def test_csv_has_full_precision_and_nothing_for_what_is_not_known() -> None:
    values = value_rows([['a "b", c', 1 / 3, None, 2, float("nan")]])
    text = to_csv(Table("", ["row", "mean", "sd", "n", "other"], values))
    assert text.endswith("\n")
    assert "\r" not in text
    (row,) = csv.DictReader(io.StringIO(text))
    assert row == {"row": 'a "b", c', "mean": repr(1 / 3), "sd": "", "n": "2", "other": ""}


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="scores: 1 cells in a row of 2 columns"):
        Table("scores", ["a", "b"], value_rows([["x"]]))


def test_cells_keep_the_number_behind_the_words() -> None:
    assert percent_cell(0.45678, 0.01) == Cell("45.7", 0.45678, "± 1.0")
    assert gain_cell(0.05) == Cell("+5.0", 0.05)
    assert percent_cell(None) == gain_cell(None) == value_cell(None) == Cell("-")
    assert value_cell(12.345, digits=0) == Cell("12", 12.345)
    assert value_cell(3) == Cell("3", 3)
    assert value_cell("three") == Cell("three")
    assert Cell(RUNS, tag="[1]").text == "0 1 [1]"


def test_numbers_in_words() -> None:
    assert percent(0.1234) == "12.3"
    assert (signed(0.01), signed(-0.01)) == ("+1.0", "-1.0")
    assert (deviation(None), deviation(0.01)) == ("", "± 1.0")
    assert (counted(1, "seed"), counted(2, "seed")) == ("1 seed", "2 seeds")


def test_a_mean_over_seeds_has_a_deviation_only_of_several() -> None:
    assert over_seeds(pd.Series([0.1, 0.3])) == (pytest.approx(0.2), pytest.approx(0.02**0.5))
    assert over_seeds(pd.Series([0.1])) == (pytest.approx(0.1), None)
    assert over_seeds(pd.Series([float("nan")])) == over_seeds(None) == (None, None)


def test_pages_are_blocks_apart_by_a_blank_line() -> None:
    assert page("# a", "", bullets(["b", "c"])) == "# a\n\n* b\n* c\n"
    assert fill_block("x <b> old <e> y", "new", "<b>", "<e>") == "x <b>\n\nnew\n\n<e> y"
