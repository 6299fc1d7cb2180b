"""Rendering of templates and Markdown to HTML; output does not depend on time, machine or set order.

Texts come from records and reports, which others may have written. Templates escape all of them, embedded HTML is
escaped, and a link is made only for an address that :func:`_is_address` accepts. The policy in each page makes browsers
refuse scripts, styles and pictures that are not files of the site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markupsafe import Markup, escape

from usvi_bench.core.markdown import visible
from usvi_bench.reports.site.addresses import site_address
from usvi_bench.reports.site.equations import read_equations
from usvi_bench.reports.site.intervals import DRAWN
from usvi_bench.reports.site.terms import explained, explanation

HERE = Path(__file__).resolve().parent
_SITE = "'self' file:"  # for pages opened from disk, Firefox needs file:
_PLOTLY = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "  # an empty style sheet, which plotly.js fills
    "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"  # the style of its maps; unused, but it adds it
)
POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src {_SITE}",
        f"style-src {_SITE} {_PLOTLY}",
        f"img-src {_SITE} data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
)
"""Content security policy of all pages: only files of the site, no scripts or styles within a page, no connections."""
LONGEST = 20_000
"""Largest number of characters of a text in Markdown; the rest is cut."""
_LONG = re.compile(r"\S{20}")
"""Name that may be wider than a column on a phone."""
_PARTS = re.compile(r"(?<=[\w)][_/=,+-])(?=\w)")
_CODE = re.compile(r"`([^`]+)`")
_ADDRESS = re.compile(r"(https?://[^\s<>()\"'`\\]*[^\s<>()\"'`\\.,:;])")
_INSIDE = re.compile(r"#[\w-]+|[\w-][\w.-]*(/[\w-][\w.-]*)*(#[\w-]+)?", re.ASCII)


def render(template: str, page: str, **context: Any) -> str:
    """Render a page of the site.

    Args:
        template: file name in ``templates``.
        page: address within the site, for example ``methods/adca.html``; links are relative to it.
        context: variables of the template.
    """
    root = "../" * page.count("/")
    return visible(_environment().get_template(template).render(root=root, page=page, policy=POLICY, **context))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(markdown=markdown, sentence=sentence, words=words, breakable=breakable)
    environment.filters.update(full_stop=full_stop, address=site_address, explained=explained, explanation=explanation)
    environment.globals.update(DRAWN=DRAWN)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    return environment


def markdown(text: str, demote: int = 0, equations: bool = False) -> Markup:
    """Convert Markdown to HTML; embedded HTML is escaped.

    Args:
        text: Markdown; only its first part if it is very long.
        demote: number of levels by which headings are lowered.
        equations: show the equations of a text of this project.
    """
    parser = _markdown(equations)
    tokens = parser.parse(_cut(text))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + demote)}"
        if "right" in str(token.attrs.pop("style", "")):  # the policy forbids styles within a page
            token.attrs["class"] = "figure"
    html = parser.renderer.render(tokens, parser.options, {})
    html = html.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>')
    return Markup(html.replace("</table>", "</table></div>"))


def sentence(text: str) -> Markup:
    """Convert inline Markdown to HTML, without a paragraph."""
    return Markup(_markdown().renderInline(_cut(text)))


def words(text: str) -> Markup:
    """Convert words of a table to HTML; backticks enclose code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(breakable(text))))


def breakable(text: str) -> Markup:
    """Escape a text, and allow line breaks in long names where their parts end."""
    parts = _PARTS.split(text) if _LONG.search(text) else [text]
    return Markup("<wbr>").join(escape(part) for part in parts)


def full_stop(words: str) -> str:
    """Format words as a sentence: with a capital letter and a full stop."""
    return words[:1].upper() + words[1:].rstrip(". ") + "."


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


@cache
def _markdown(equations: bool = False) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    setattr(parser, "validateLink", _is_address)  # noqa: B010  # the documented way; mypy refuses an assignment
    parser.core.ruler.after("text_join", "addresses", _link_addresses)
    return read_equations(parser) if equations else parser


def _is_address(address: str) -> bool:
    """Return whether a link may have an address: of the web, or of a page in the same folder of the site or below."""
    return bool(_ADDRESS.fullmatch(address) or _INSIDE.fullmatch(address))


def _link_addresses(state: StateCore) -> None:
    """Turn the web addresses in the text of all blocks into links."""
    for block in state.tokens:
        block.children = None if block.children is None else [*_linked(block.children)]


def _linked(tokens: Sequence[Token]) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type in ("link_open", "link_close") else 0
        if depth or token.type != "text":
            yield token
            continue
        for i, part in enumerate(_ADDRESS.split(token.content)):
            text = Token("text", "", 0, content=part)
            if i % 2:
                yield Token("link_open", "a", 1, attrs={"href": part})
                yield text
                yield Token("link_close", "a", -1)
            elif part:
                yield text
