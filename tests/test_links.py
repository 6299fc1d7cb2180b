"""Links, anchors, pictures and paths in all Markdown files lead to something."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, spans, tokens

HTML = re.compile(r'(?:src|srcset|href)="([^"]+)"')
ANYWHERE = re.compile(r"[a-z]+:")
MADE = ("build/", "data/", "dist/", "runs/", "site/", "benchmarks/results/gpu")
"""Folders and files that commands of the pages make."""


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        for part in [token, *(token.children or ())]:
            yield from (str(part.attrs[name]) for name in ("href", "src") if name in part.attrs)
            if part.type in ("html_block", "html_inline"):
                yield from HTML.findall(part.content)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    found: Counter[str] = Counter()
    names = set()
    parsed = tokens(page)
    for token, text in pairwise(parsed):
        if token.type == "heading_open":
            words = "".join(child.content for child in text.children or ())
            name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            names.add(f"{name}-{found[name]}" if found[name] else name)
            found[name] += 1
    return names


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_every_link_leads_to_a_file_and_heading(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        if ANYWHERE.match(link):
            continue
        target = page.parent / file if file else page
        assert target.exists(), f"{link}: no such file"
        assert target.resolve().is_relative_to(ROOT), f"{link} leads out of the project"
        assert not anchor or anchor in anchors(target), f"{link}: {target.name} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_every_path_in_a_sentence_exists(page: Path) -> None:
    """A path is code that begins with a folder or file of the project."""
    tops = {path.name for path in ROOT.iterdir()} - {"data"}
    for line, text in spans(page):
        top, slash, _ = text.partition("/")
        if slash and top in tops and re.fullmatch(r"[\w./*-]+", text) and not text.startswith(MADE):
            assert [*ROOT.glob(text.rstrip("/"))], f"line {line}: {text}"


def test_the_pages_are_found() -> None:
    assert len(PAGES) > 40
    assert {ROOT / "README.md", ROOT / "synthetic/README.md", ROOT / ".github/PULL_REQUEST_TEMPLATE.md"} <= {*PAGES}
