"""Building blocks of Markdown pages; equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Iterable


def page(*blocks: str) -> str:
    """Join the non-empty blocks with blank lines."""
    return "\n\n".join(block for block in blocks if block) + "\n"


def bullets(sentences: Iterable[str]) -> str:
    """Format sentences as a bullet list."""
    return "\n".join(f"* {sentence}" for sentence in sentences)


def fill_block(content: str, block: str, begin: str, end: str) -> str:
    """Replace the text between two marks of a page."""
    before, _, rest = content.partition(begin)
    return f"{before}{begin}\n\n{block}\n\n{end}{rest.partition(end)[2]}"
