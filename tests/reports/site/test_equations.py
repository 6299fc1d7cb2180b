"""Equations of the pages of methods: TeX becomes MathML, in texts of this project only."""

from __future__ import annotations

import re

import pytest

from tests.reports.site.conftest import Made
from usvi_bench.core.errors import UsageError
from usvi_bench.reports.site.equations import mathml
from usvi_bench.reports.site.render import markdown

TEX = r"L = \frac{a_1}{2}"
ELEMENTS = "<mi>L</mi><mo>=</mo><mfrac><mrow><msub><mi>a</mi><mn>1</mn></msub></mrow><mrow><mn>2</mn></mrow></mfrac>"


def plain(text: str) -> str:
    return text.replace("&#x0003D;", "=")


@pytest.mark.parametrize("written", [f"$`{TEX}`$", f":math:`{TEX}`", f":math:`{TEX.replace('= ', '=' + chr(10))}`"])
def test_both_notations_become_mathml(written: str) -> None:
    shown = plain(markdown(f"The loss is {written}, as above.", equations=True))
    assert re.fullmatch(rf"<p>The loss is <math[^>]*><mrow>{ELEMENTS}</mrow></math>, as above.</p>\n", shown)


def test_a_long_equation_breaks_before_its_signs_and_sums() -> None:
    tex = r"L = -\frac{1}{B} \sum_i w_i \log p(q_i - M_k) + \max(1 - s_{ij}, 0)^2"
    parts = mathml(tex).split("<wbr>")
    texts = [re.sub("<[^>]*>", "", part).replace("\N{MINUS SIGN}", "-") for part in parts]
    assert texts == ["L", "=-1B", "∑iwilogp(qi-Mk)", "+max(1-sij,0)2"]
    assert all(re.fullmatch(r"<math xmlns=[^>]*><mrow>.*</mrow></math>", part) for part in parts)
    assert parts[1].startswith(parts[1].partition("<mrow>")[0] + '<mrow><mo form="infix">=</mo><mo>\N{MINUS SIGN}</mo>')


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        (r"-\frac{1}{B} + aaaaaaaaaaaaaaaaaaaaaaaaaa", ["-1B", "+aaaaaaaaaaaaaaaaaaaaaaaaaa"]),
        (r"\left(x + y + z + w + aaaaaaaaaaaaaaaa\right) + b", ["(x+y+z+w+aaaaaaaaaaaaaaaa)", "+b"]),
        (r"[0, 1) + aaaaaaaaaaaaaaaaaaaa + b = c", ["[0,1)", "+aaaaaaaaaaaaaaaaaaaa", "+b", "=c"]),
        (r"d = \|x_i - y_i\| + aaaaaaaaaaaaaaaaaaaa", ["d", "=‖xi-yi‖", "+aaaaaaaaaaaaaaaaaaaa"]),
        (r"y \in \{-1, +1\} = aaaaaaaaaaaaaaaaaaaa", ["y∈{-1,+1}", "=aaaaaaaaaaaaaaaaaaaa"]),
        (r"aaaaaaaaaaaaaaaaaaaaaaaa x^+ y^- z_+", ["aaaaaaaaaaaaaaaaaaaaaaaax+y-z+"]),
        (r"f(a + b)^2 = -aaaaaaaaaaaaaaaaaaaaaaaa", ["f(a+b)2", "=-aaaaaaaaaaaaaaaaaaaaaaaa"]),
    ],
)
def test_an_equation_breaks_only_where_a_reader_would(tex: str, expected: list[str]) -> None:
    parts = [re.sub("<[^>]*>", "", part).replace("\N{MINUS SIGN}", "-") for part in mathml(tex).split("<wbr>")]
    assert [part.replace("&#x0221E;", "∞").replace("∥", "‖") for part in parts] == expected


def test_other_code_and_dollars_stay_as_they_are() -> None:
    shown = markdown("`a=b`, 5 $ and 6 $, `$x$`, a: `c`", equations=True)
    assert shown == "<p><code>a=b</code>, 5 $ and 6 $, <code>$x$</code>, a: <code>c</code></p>\n"


def test_roles_of_docstrings_become_names() -> None:
    shown = markdown("see :meth:`contrast` and :func:`usvi_bench.components.ema.ema_step`", equations=True)
    assert shown == "<p>see <code>contrast</code> and <code>ema_step</code></p>\n"


def test_texts_of_others_have_no_equations() -> None:
    assert markdown("$`x`$ :meth:`a.b`") == "<p>$<code>x</code>$ :meth:<code>a.b</code></p>\n"


@pytest.mark.parametrize(
    ("tex", "message"), [(r"\text{<img>}", r"has one of < > &; write \\lt or \\gt"), ("x_a_b", "Double.*; write TeX")]
)
def test_an_equation_that_cannot_be_shown_is_named(tex: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"^equation {re.escape(repr(tex))}: {message}"):
        mathml(tex)


def test_no_page_of_a_method_shows_tex_or_roles(made: Made) -> None:
    found = {path.stem: path.read_text() for path in (made.site / "methods").glob("*.html")}
    for name, text in found.items():
        assert not re.search(r"\$<|:\w+:<code>|:math:|\\operatorname|<code>[^<]*(?:softmax|exp)\(", text), name
    assert "<math" in found["sclhm"]
    assert sum(text.count("<math") for text in found.values()) > 250
