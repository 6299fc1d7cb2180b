"""Size of methods: number of lines of each file in ``methods/``, and the modules that it imports."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

from usvi_bench.core.registry import METHODS
from usvi_bench.core.revision import ROOT
from usvi_bench.reports.pages.page_table import PageTable
from usvi_bench.reports.pages.sources import Sources

FOLDERS = ("methods", "components")
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Count lines that are not blank, a comment or part of a docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def parts(source: str) -> list[str]:
    """List the imported methods, then the imported components."""
    modules = {node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    prefixes = {folder: f"usvi_bench.{folder}." for folder in FOLDERS}
    used = {f: {m.removeprefix(prefix) for m in modules if m.startswith(prefix)} for f, prefix in prefixes.items()}
    return [f"`{name}`" for name in sorted(used["methods"] - {"base"})] + sorted(used["components"])


def method_cost_table(name: str) -> PageTable:
    """Specify a table of the imports and lines of all methods."""

    def rows(_: Sources) -> Iterator[list[str]]:
        for method in METHODS.own_names():
            source = (ROOT / "methods" / f"{method}.py").read_text()
            filled = sum(bool(line.strip()) for line in source.splitlines())
            yield [f"`{method}`", ", ".join(parts(source)), str(filled), str(code_lines(source))]

    return PageTable(name, ["method", "imports", "lines", "code lines"], rows, left=["imports"])
