"""Equations in Markdown and docstrings: TeX becomes MathML, which browsers show without a script.

An equation is code between dollar signs, as on GitHub, or has the role ``:math:`` of a docstring. Code with another
role, such as ``:meth:``, becomes the last part of the name.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from usvi_bench.core.errors import UsageError

_SPACE = "http://www.w3.org/1998/Math/MathML"
_SIGNS = ("=", "+", "\N{MINUS SIGN}")
_LONG = 24  # characters that the narrowest page shows in a line
_MARKED = re.compile(r"\$`(?P<tex>[^`]+)`\$|:(?P<role>[a-z]+):`~?(?P<name>[^`]+)`")


def read_equations(parser: MarkdownIt) -> MarkdownIt:
    """Add equations and roles to a parser. Only texts of this project may have them."""
    parser.inline.ruler.before("backticks", "equations", _read)
    return parser


def mathml(tex: str) -> str:
    """Convert TeX to MathML: one element, or several of a long equation, between which a narrow page breaks it.

    >>> mathml("x^2")[-47:]
    '<msup><mi>x</mi><mn>2</mn></msup></mrow></math>'

    Raises:
        UsageError: the text is not TeX that the library reads.
    """
    if re.search("[<>&]", tex):  # the library does not escape them
        raise UsageError(f"equation {tex!r}: has one of < > &; write \\lt or \\gt")
    try:
        equation = str(convert(tex))
    except Exception as error:  # its errors have no common class
        raise UsageError(f"equation {tex!r}: {type(error).__name__}; write TeX that latex2mathml reads") from error
    return _breakable(equation)


def _breakable(equation: str) -> str:
    """Split a long equation before its signs and sums outside of parentheses."""
    math = ElementTree.fromstring(equation)
    if len("".join(math.itertext())) <= _LONG:
        return equation
    parts: list[ElementTree.Element] = []
    depth, last = 0, ""
    for element in math[0]:
        sign = element.text or element.findtext(f"{{{_SPACE}}}mo") or ""
        infix = sign in _SIGNS and last not in _SIGNS
        if not parts or (depth == 0 and (infix or sign == "∑")):
            parts.append(ElementTree.Element(math.tag, math.attrib))
            ElementTree.SubElement(parts[-1], math[0].tag)
            if infix:
                element.set("form", "infix")
        parts[-1][0].append(element)
        depth += (sign == "(") - (sign == ")")
        last = sign
    ElementTree.register_namespace("", _SPACE)
    return "<wbr>".join(ElementTree.tostring(part, encoding="unicode") for part in parts)


def _read(state: StateInline, silent: bool) -> bool:
    found = _MARKED.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    state.pos = found.end()
    if silent:
        return True
    tex = found["name"] if found["role"] == "math" else found["tex"]
    if tex:
        state.push("html_inline", "", 0).content = mathml(" ".join(tex.split()))
    else:
        state.push("code_inline", "code", 0).content = found["name"].rpartition(".")[2]
    return True
