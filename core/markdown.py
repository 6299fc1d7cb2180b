"""Markdown pages whose bytes depend on nothing but their input."""

from __future__ import annotations

from collections.abc import Iterable


def page(*blocks: str) -> str:
    """Join blocks by a blank line; empty ones are left out."""
    return "\n\n".join(block for block in blocks if block) + "\n"


def bullets(sentences: Iterable[str]) -> str:
    """Make a list of sentences."""
    return "\n".join(f"* {sentence}" for sentence in sentences)


def fill_block(content: str, block: str, begin: str, end: str) -> str:
    """Replace what stands between two marks of a page."""
    before, _, rest = content.partition(begin)
    return f"{before}{begin}\n\n{block}\n\n{end}{rest.partition(end)[2]}"
