"""Texts of the fields of dataclasses: the string below a field, or its entry under ``Attributes`` of the class."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from functools import cache
from itertools import pairwise

_ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


@cache
def field_docs(kind: type) -> dict[str, str]:
    """Return the text of each field of a class and of its bases, in one line; fields without a text are absent.

    Example::

        >>> from usvi_bench.components.augment import AugmentConfig
        >>> field_docs(AugmentConfig)["flip"]
        'probability of mirroring.'
    """
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__[:-1]):
        texts = {**_attributes(cls), **_strings(cls)}
        found |= {name: " ".join(text.split()) for name, text in texts.items()}
    return found


def _attributes(cls: type) -> dict[str, str]:
    """Return the entries under ``Attributes`` in the docstring of a class."""
    _, _, section = inspect.cleandoc(vars(cls).get("__doc__") or "").partition("Attributes:\n")
    return dict(_ENTRY.findall(section.partition("\n\n")[0]))


def _strings(cls: type) -> dict[str, str]:
    """Return the strings below the fields of a class; empty if its source is not available."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    found = {}
    for item, below in pairwise(body):
        if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            found[item.target.id] = below.value.value
    return found
