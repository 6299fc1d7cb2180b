from __future__ import annotations

import re

from usvi_bench.core.registry import METHODS
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.reports.pages.method_cost import code_lines, method_cost_table, parts
from usvi_bench.reports.pages.sources import Sources

SOURCE = '''"""A method.

Of two lines.
"""

from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.association import (  # two
    UNMATCHED,
)
from usvi_bench.methods.base import Method
from usvi_bench.methods.pgm import PGM


class Example(PGM):
    """What it is."""

    weight: float = 0.5
    """Its meaning."""
    text = """not a
    docstring"""
    # why
'''


def test_lines_of_code_are_counted_without_prose() -> None:
    assert code_lines(SOURCE) == 10


def test_parts_are_methods_then_components() -> None:
    assert parts(SOURCE) == ["`pgm`", "association", "memory.cluster"]


def test_every_method_has_a_row() -> None:
    rows = [list(row) for row in method_cost_table("cost").rows(Sources(FOLDER))]
    assert [row[0] for row in rows] == [f"`{name}`" for name in METHODS.names()]
    for name, made_of, lines, code in rows:
        source = (FOLDER.parent / "methods" / f"{name.strip('`')}.py").read_text()
        assert (int(lines), int(code)) == (len(re.sub(r"\n\s*\n", "\n", source).splitlines()), code_lines(source))
        assert made_of == ", ".join(parts(source))
