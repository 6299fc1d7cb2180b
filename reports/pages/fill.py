"""Insertion of generated tables into a page, between ``<!-- table: NAME -->`` and ``<!-- end of table -->``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.reports.pages.page_table import PageTable
from usvi_bench.reports.pages.sources import Sources

MARK = re.compile(r"<!-- table: (.*?) -->")
END = "<!-- end of table -->"


def fill_page(page: str, tables: Mapping[str, PageTable], sources: Sources) -> str:
    """Replace the content between the marks of a page with the named tables.

    Raises:
        UsageError: a table is unknown, a mark lacks its counterpart, or a figure is missing.
    """
    text, *rest = MARK.split(page)
    parts = [_outside(text)]
    for name, after in zip(rest[::2], rest[1::2], strict=True):
        if name not in tables:
            raise UsageError(f"table: {name}: {did_you_mean(name, tables)}")
        _, end, text = after.partition(END)
        if not end:
            raise UsageError(f"<!-- table: {name} --> lacks its {END}")
        parts.append(f"<!-- table: {name} -->\n\n{tables[name].markdown(sources)}\n\n{END}{_outside(text)}")
    return "".join(parts)


def _outside(text: str) -> str:
    if END in text:
        raise UsageError(f"{END} lacks its <!-- table: NAME -->")
    return text
