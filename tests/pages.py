"""Markdown files of the project, and the blocks of code in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
MADE = {".git", ".venv", "build", "dist", "runs", "site", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache"}
FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir() and path.name not in MADE)
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in folder.rglob("*.md"))])


@dataclass(frozen=True)
class Block:
    """Block of code of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def tokens(page: Path) -> list[Token]:
    """Parse a page as GitHub does."""
    return MarkdownIt().enable("table").parse(page.read_text())


def blocks(page: Path) -> Iterator[Block]:
    """Yield all blocks of code of a page, fenced or indented."""
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            yield Block(page.relative_to(ROOT).as_posix(), token.map[0] + 1, token.info.strip(), token.content)


def spans(page: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of all code within sentences and tables of a page."""
    for token in tokens(page):
        for child in token.children or ():
            if child.type == "code_inline":
                yield (token.map or [0])[0] + 1, " ".join(child.content.split())
