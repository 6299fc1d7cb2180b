"""Every block of Python in the pages compiles, and its imports, names and keyword arguments exist."""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import tomllib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import usvi_bench
from tests.pages import PAGES, ROOT, Block, blocks
from usvi_bench.sweep.grid import read_rows

BLOCKS = [block for page in PAGES for block in blocks(page)]
GIVEN = {
    "docs/protocols.md": {"query_ids", "gallery_ids", "query_cams", "gallery_cams", "similarity", "usvi_bench"}
    | {"Protocol", "ImageTable", "RetrievalMasks"},
}
"""Names that the text of a page introduces."""


def objects(tree: ast.Module, page: str) -> dict[str, Any]:
    """Import what a block imports, except for files that the page describes."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            written = {each.name for each in node.names if f"`{each.name}.py`" in page}
            names = [each for each in node.names if each.name not in written]
            found |= dict.fromkeys(written) | {each.asname or each.name: import_module(each.name) for each in names}
        elif isinstance(node, ast.ImportFrom):
            module = import_module(str(node.module))
            found |= {each.asname or each.name: getattr(module, each.name) for each in node.names}
    return found


def resolve(node: ast.expr, known: dict[str, Any]) -> Any:
    """Return the object of a name or attribute of an imported object; None if it is made by the block."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := resolve(node.value, known)) is not None:
        return getattr(owner, node.attr)  # an error names the missing attribute
    return None


def assigned(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "python"], ids=lambda each: each.place)
def test_a_block_of_python_uses_names_that_exist(block: Block) -> None:
    earlier = [each for each in BLOCKS if each.page == block.page and each.language == "python"]
    trees = [ast.parse(each.text) for each in earlier[: earlier.index(block) + 1]]
    known = {"usvi_bench": usvi_bench} if block.page in GIVEN else {}
    for tree in trees:
        known |= objects(tree, (ROOT / block.page).read_text())
    names = {*dir(builtins), *known, *GIVEN.get(block.page, ()), *(name for tree in trees for name in assigned(tree))}
    for node in ast.walk(trees[-1]):
        if isinstance(node, ast.Name):
            assert node.id in names, f"line {block.line + node.lineno}: {node.id} is not defined"
        if isinstance(node, ast.Attribute):
            resolve(node, known)
        if isinstance(node, ast.Call) and (called := resolve(node.func, known)) is not None and callable(called):
            try:
                signature = inspect.signature(called)
            except ValueError:  # a function in C
                continue
            given = [each for each in node.keywords if each.arg]
            places = [] if any(isinstance(each, ast.Starred) for each in node.args) else node.args
            signature.bind_partial(*places, **{str(each.arg): each.value for each in given})


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in ("json", "toml")], ids=lambda each: each.place)
def test_a_block_of_data_is_read(block: Block, tmp_path: Any) -> None:
    if block.language == "json":
        json.loads(block.text)
    elif "rows" in tomllib.loads(block.text):
        (tmp_path / "rows.toml").write_text(block.text)
        assert read_rows("sclhm", tmp_path / "rows.toml")


def test_every_block_has_a_language_that_a_test_reads() -> None:
    languages = {block.language for block in BLOCKS}
    assert languages <= {"", "bash", "console", "json", "python", "sh", "text", "toml"}
    assert (ROOT / "docs/search.md") in PAGES
