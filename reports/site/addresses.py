"""Addresses of pages in the site; they have only letters, digits and a few signs, whatever the name of a run."""

from __future__ import annotations

import hashlib
import re
from functools import cache

from usvi_bench.core.table import Link
from usvi_bench.reports.site.methods import read_methods

_NAME = re.compile(r"(?!.*\.(?:html|svg|png|jpg)$)[A-Za-z0-9_][\w.+=,@-]{0,99}", re.ASCII)


def run_address(name: str) -> str:
    """Return the address of the page of a run relative to the root of the site.

    >>> run_address("sysu_all/adca-seed0")
    'runs/sysu_all/adca-seed0/index.html'
    >>> run_address("../my run")
    'runs/my-run-8700333a/index.html'
    """
    parts = name.split("/")
    if len(parts) > 8 or not all(map(_NAME.fullmatch, parts)):
        words = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
        name = "-".join([*filter(None, [words]), short_hash(name)])
    return f"runs/{name}/index.html"


def site_address(link: Link) -> str:
    """Return the address of a page relative to the root of the site; empty for a method without a page."""
    if link.kind == "run":
        return run_address(link.name.removesuffix(".json"))
    return f"methods/{link.name}.html" if link.name in _methods() else ""


def short_hash(text: str) -> str:
    """Return eight hexadecimal digits that distinguish texts."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


@cache
def _methods() -> frozenset[str]:
    return frozenset(method.name for method in read_methods())
