from __future__ import annotations

from usvi_bench.core.registry import METHODS
from usvi_bench.reports.pages.method_cost import PAGE, code_lines, page, parts

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


def test_the_committed_table_is_up_to_date() -> None:
    text = PAGE.read_text()
    assert text == page(), "run python -m reports.pages.method_cost --write"
    assert all(f"| `{name}` |" in text for name in METHODS.names())
