"""Ending of ``make run`` in README: ``make ending`` runs it and replaces the block."""

from __future__ import annotations

import re
import sys

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_text
from usvi_bench.core.revision import ROOT
from usvi_bench.synthetic import GENERATOR_VERSIONS

PAGE = "README.md"
BEGIN, END = "<!-- ending of make run, people of version {} -->", "<!-- end of ending -->"
BLOCK = re.compile(BEGIN.format(r"(?P<version>\d+)") + rf"\n```text\n(?P<text>.*?)```\n{END}", re.DOTALL)
TITLE = "sclhm on sysu_all, seed 0 (percent, last epoch)"
"""First line of the ending."""


def replace_ending(page: str, output: str) -> str:
    """Replace the block of a page by the last lines of an output of ``make run``.

    Raises:
        UsageError: the output has no ending, or the page has no block.
    """
    _, title, rest = output.rpartition(f"{TITLE}\n")
    if not title or "\nnext (" not in rest:
        raise UsageError(f"no line '{TITLE}' with scores and commands below it; give the output of make run")
    lines = "\n".join(line.rstrip() for line in f"{title}{rest}".strip().splitlines())
    block = f"{BEGIN.format(GENERATOR_VERSIONS['sysu'])}\n```text\n{lines}\n```\n{END}"
    filled, count = BLOCK.subn(lambda _: block, page)
    if count != 1:
        raise UsageError(f"{count} blocks of this form: {BLOCK.pattern}; keep exactly one")
    return filled


if __name__ == "__main__":
    print(received := sys.stdin.read(), end="")
    write_text(ROOT / PAGE, replace_ending((ROOT / PAGE).read_text(encoding="utf-8"), received))
