"""What adding a method costs: the lines of each file in ``methods/``, and the parts that it is made of.

``python -m reports.pages.method_cost [--write]`` prints the table, or puts it into ``CONTRIBUTING.md``.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
import tokenize
from collections.abc import Sequence

from usvi_bench.core.environment import ROOT
from usvi_bench.core.files import write_text
from usvi_bench.core.markdown import fill_block
from usvi_bench.core.registry import METHODS
from usvi_bench.core.table import markdown_table

PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- size: python -m reports.pages.method_cost --write -->", "<!-- end of size -->"
HEADER = ["method", "made of", "lines", "of them code"]
FOLDERS = ("methods", "components")
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Lines that are neither blank, nor comment, nor part of a docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def parts(source: str) -> list[str]:
    """Components that a method imports, and other methods, those in front."""
    modules = {node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    prefixes = {folder: f"usvi_bench.{folder}." for folder in FOLDERS}
    used = {f: {m.removeprefix(prefix) for m in modules if m.startswith(prefix)} for f, prefix in prefixes.items()}
    return [f"`{name}`" for name in sorted(used["methods"] - {"base"})] + sorted(used["components"])


def rows() -> list[list[str]]:
    """Cells of the table, a row a method."""
    cells = []
    for name in METHODS.names():
        source = (ROOT / "methods" / f"{name}.py").read_text()
        filled = sum(bool(line.strip()) for line in source.splitlines())
        cells.append([f"`{name}`", ", ".join(parts(source)), str(filled), str(code_lines(source))])
    return cells


def page() -> str:
    """``CONTRIBUTING.md`` with the table as it is now."""
    return fill_block(PAGE.read_text(), markdown_table(HEADER, rows(), words=2), BEGIN, END)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table or write it."""
    parser = argparse.ArgumentParser(prog="python -m reports.pages.method_cost", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into CONTRIBUTING.md")
    if parser.parse_args(arguments).write:
        text = page()
        write_text(PAGE, text)
    else:
        print(markdown_table(HEADER, rows(), words=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
