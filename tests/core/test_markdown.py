"""Texts of strangers in Markdown: shown as they are, by a parser that also accepts HTML."""

from __future__ import annotations

import csv
import html
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from usvi_bench.core.formatting import file_name
from usvi_bench.core.markdown import address, code, plain, visible, words
from usvi_bench.core.table import Cell, Link, Table, TableRow, to_csv, to_markdown, value_rows

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SIGNS = st.text(alphabet="ab1 \\`*_[]()<>!|~$&;#x/:\"'={}\n\t.-+", max_size=40)


def shown(text: str) -> str:
    """Return the words of rendered inline Markdown; fails if it has an element."""
    rendered = PARSER.renderInline(f"a {text} b")
    assert "<" not in rendered, rendered
    return html.unescape(rendered)


@given(SIGNS)
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert shown(plain(text)).split() == f"a {text} b".split()


@given(SIGNS)
def test_code_is_one_span_with_the_text(text: str) -> None:
    rendered = PARSER.renderInline(f"a {code(text)} b")
    found = re.fullmatch("a <code>([^<]*)</code> b", rendered)
    assert found, rendered
    assert html.unescape(found[1]).split() == text.replace("`", "'").split()


@given(SIGNS, SIGNS, SIGNS)
def test_cells_stay_in_their_columns(first: str, second: str, third: str) -> None:
    link = Cell([Link(third, "run", third)])
    table = Table("", ["a", "b", "c"], [TableRow([Cell(first), Cell(second), link])])
    rendered = PARSER.render(to_markdown(table, lambda link: f"records/{link.name}"))
    assert rendered.count("<td") == 3
    kept = re.sub(
        r'</?(table|thead|tbody|tr|th|td|code)( style="text-align:(left|right)")?>|<a href="[\w./%=,+@~-]*">|</a>',
        "",
        rendered,
    )
    assert "<" not in kept, rendered


def test_words_of_cells_keep_code() -> None:
    assert words("`a_b|c` and a_b, _c_ *d*") == r"`a_b\|c` and a_b, \_c\_ \*d\*"


def test_hidden_characters_are_replaced() -> None:
    hidden = [*range(9), 11, 12, *range(14, 32), 127, 0x85, 0x61C, 0x200B, 0x200F, 0x202E, 0x2066, 0xFEFF, 0xD800]
    for point in hidden:
        assert visible(f"a{chr(point)}b") == "a\ufffdb"
        plain(chr(point)).encode()
    assert visible("Ä ± Δ †\t\n猫") == "Ä ± Δ †\t\n猫"


def test_addresses_are_encoded() -> None:
    assert address('a b)"<é>\udcff.json') == "a%20b%29%22%3C%C3%A9%3E%FF.json"


@pytest.mark.parametrize("text", ["", "..", "/", "../../etc", "a/b", "\0", ".hidden", "x" * 1000])
def test_file_names_have_one_part(text: str) -> None:
    assert re.fullmatch(r"[\w+=-][\w.+=-]{0,99}", file_name(text))


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_text_in_csv_is_no_formula_and_numbers_stay_numbers(start: str) -> None:
    text = to_csv(Table("", [f"{start}a", "b"], value_rows([[f"{start}1+1", -0.5]])))
    kept = start.replace("\r", "\n")
    assert [*csv.reader(io.StringIO(text, newline=""))] == [[f"'{kept}a", "b"], [f"'{kept}1+1", "-0.5"]]
