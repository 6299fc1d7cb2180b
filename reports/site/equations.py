"""Equations in Markdown and docstrings: TeX becomes MathML, which browsers show without a script.

An equation is code between dollar signs, as on GitHub, or has the role ``:math:`` of a docstring. Code with another
role, such as ``:meth:``, becomes the last part of the name.
"""

from __future__ import annotations

import re

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from usvi_bench.core.errors import UsageError

_MARKED = re.compile(r"\$`(?P<tex>[^`]+)`\$|:(?P<role>[a-z]+):`~?(?P<name>[^`]+)`")


def read_equations(parser: MarkdownIt) -> MarkdownIt:
    """Add equations and roles to a parser. Only texts of this project may have them."""
    parser.inline.ruler.before("backticks", "equations", _read)
    return parser


def mathml(tex: str) -> str:
    """Convert TeX to MathML.

    >>> mathml("x^2")[-47:]
    '<msup><mi>x</mi><mn>2</mn></msup></mrow></math>'

    Raises:
        UsageError: the text is not TeX that the library reads.
    """
    if re.search("[<>&]", tex):  # the library does not escape them
        raise UsageError(f"equation {tex!r}: has one of < > &; write \\lt or \\gt")
    try:
        return str(convert(tex))
    except Exception as error:  # its errors have no common class
        raise UsageError(f"equation {tex!r}: {type(error).__name__}; write TeX that latex2mathml reads") from error


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
