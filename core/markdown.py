"""Building blocks of Markdown pages; equal input gives equal bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_ACTIVE = re.compile(r"[\\`*\[\]|~$]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_CODE = re.compile(r"(`[^`]+`)")


def visible(text: str) -> str:
    """Replace characters that are invisible or turn the direction of text, and those that UTF-8 lacks, by U+FFFD.

    >>> visible("safe" + chr(0x202E) + "gpj.exe")
    'safe�gpj.exe'
    """
    return _HIDDEN.sub("\ufffd", text)


def plain(text: str) -> str:
    r"""Escape text from a file, such as a record, so that Markdown shows it as it is, in one line.

    >>> plain("cluster_contrast <b> [a](b) *c* | d")
    'cluster_contrast \\<b> \\[a\\](b) \\*c\\* \\| d'
    """
    return _ACTIVE.sub(r"\\\g<0>", _one_line(text))


def code(text: str) -> str:
    """Format text from a file as code; a backtick in it becomes an apostrophe, because it would end the code.

    >>> code("sysu_all")
    '`sysu_all`'
    """
    return f"`{_one_line(text).replace('`', chr(39)) or ' '}`"


def words(text: str) -> str:
    r"""Escape the words of a table cell, in which backticks enclose code.

    >>> words("`a|b` and <b>")
    '`a\\|b` and \\<b>'
    """
    parts = _CODE.split(_one_line(text))
    return "".join(part.replace("|", "\\|") if i % 2 else plain(part) for i, part in enumerate(parts))


def address(path: str) -> str:
    """Encode the relative path of a file as the address of a link.

    >>> address("records/a b).json")
    'records/a%20b%29.json'
    """
    return quote(path, safe="/=,+@", errors="surrogateescape")


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


def _one_line(text: str) -> str:
    return visible(re.sub(r"[\t\r\n]+", " ", text))
