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
_SCRIPTS = ("msub", "msup", "msubsup", "munder", "munderover")
_LONG = 24  # characters that the narrowest page shows in a line
_MARKED = re.compile(r"\$`(?P<tex>[^`]+)`\$|:(?P<role>[a-z]+):`~?(?P<name>[^`]+)`")


def read_equations(parser: MarkdownIt) -> MarkdownIt:
    """Add equations and roles to a parser. Only texts of this project may have them."""
    parser.inline.ruler.before("backticks", "equations", _read)
    return parser


def mathml(tex: str) -> str:
    """Convert TeX to MathML. A long equation becomes several elements, with a possible line break between them.

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
    """Split a long equation before its sums and binary signs, outside of parentheses, braces and bars."""
    math = ElementTree.fromstring(equation)
    if len("".join(math.itertext())) <= _LONG:
        return equation
    parts: list[ElementTree.Element] = []
    depth, bars, last = 0, 0, "="
    for element in math[0]:
        symbol = _symbol(element)
        binary = element.text in _SIGNS and last not in _SIGNS
        if not parts or (depth == 0 and bars % 2 == 0 and (binary or symbol == "∑")):
            parts.append(ElementTree.Element(math.tag, math.attrib))
            ElementTree.SubElement(parts[-1], math[0].tag)
            if binary:
                element.set("form", "infix")
        parts[-1][0].append(element)
        depth = max(0, depth + (symbol in ("(", "{")) - (symbol in (")", "}")))
        bars += symbol in ("|", "‖", "∥")
        last = symbol
    ElementTree.register_namespace("", _SPACE)
    return "<wbr>".join(ElementTree.tostring(part, encoding="unicode") for part in parts)


def _symbol(element: ElementTree.Element) -> str:
    """Return the text of an operator or of one with scripts, and an empty string for other parts of an equation."""
    base = element[0] if element.tag.removeprefix(f"{{{_SPACE}}}") in _SCRIPTS else element
    return base.text or "" if base.tag.endswith("}mo") else ""


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
