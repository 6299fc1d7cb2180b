"""Rendering of templates and Markdown to HTML; output does not depend on time, machine or set order."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from usvi_bench.reports.site.board import site_address

HERE = Path(__file__).resolve().parent
_CODE = re.compile(r"`([^`]+)`")
_ADDRESS = re.compile(r'(?<![">=])(https?://[^\s<>()]*[^\s<>().,;])')


def render(template: str, page: str, **context: Any) -> str:
    """Render a page of the site.

    Args:
        template: file name in ``templates``.
        page: address within the site, for example ``methods/adca.html``; links are relative to it.
        context: variables of the template.
    """
    root = "../" * page.count("/")
    return _environment().get_template(template).render(root=root, page=page, **context)


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
    environment.filters.update(markdown=markdown, sentence=sentence, words=words, full_stop=full_stop)
    environment.filters.update(address=site_address)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    return environment


def markdown(text: str, demote: int = 0) -> Markup:
    """Convert Markdown to HTML; embedded HTML is escaped. ``demote`` lowers headings by that many levels."""
    tokens = _markdown().parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + demote)}"
    html = _markdown().renderer.render(tokens, _markdown().options, {})
    html = html.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>')
    return Markup(_link(html.replace("</table>", "</table></div>")))


def sentence(text: str) -> Markup:
    """Convert inline Markdown to HTML, without a paragraph."""
    return Markup(_link(_markdown().renderInline(text)))


def words(text: str) -> Markup:
    """Convert words of a table to HTML; backticks enclose code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def full_stop(words: str) -> str:
    """Format words as a sentence: with a capital letter and a full stop."""
    return words[:1].upper() + words[1:].rstrip(". ") + "."


def _link(html: str) -> str:
    return _ADDRESS.sub(r'<a href="\1">\1</a>', html)


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")
