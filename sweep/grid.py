"""Rows of a grid: named settings of one method, read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import explain_missing_path
from usvi_bench.core.settings import flatten
from usvi_bench.engine.read_settings import SUFFIXES, find_named, read_file

Scalar = bool | int | float | str | None
_FORMS = (
    'write rows = { "name of the row" = { method.eps = 0.4 }, ... }',
    'write rows = {"name of the row": {"method": {"eps": 0.4}}, ...}',
)
"""Form of the rows in TOML and in Python."""


@dataclass(frozen=True)
class Row:
    """Row of an ablation table.

    Attributes:
        name: name in the table.
        settings: settings that the row changes, by full name: ``{"method.tau": 0.5}``; empty for the full method.
    """

    name: str
    settings: Mapping[str, Scalar]


def read_rows(method: str, file: Path | None = None) -> list[Row]:
    """Read the rows of a grid file, in its order; default: the method's file in ``configs/ablations``.

    Raises:
        UsageError: the file does not exist, or holds no rows.
    """
    if file is None:
        try:
            file = find_named("ablations", method)
        except UsageError as error:
            raise UsageError(f"no ablation grid for '{method}' ({error}); give one with --grid") from error
    elif not file.is_file():
        raise UsageError(f"--grid {file}: {explain_missing_path(file)}")
    elif file.suffix not in SUFFIXES:
        raise UsageError(f"--grid {file}: its name must end in {', '.join(SUFFIXES)}")
    try:
        rows = read_file(file).get("rows")
    except UsageError as error:
        raise UsageError(f"--grid {error}") from error
    if not isinstance(rows, dict) or not rows:
        raise UsageError(f"--grid {file}: no rows in the form of docs/ablations.md; {_FORMS[file.suffix == '.py']}")
    for name, row in rows.items():
        if not isinstance(name, str) or not name.isprintable() or not name.strip():
            raise UsageError(f"--grid {file}: row {name!r:.60}: give it a name in quotes, in one line")
        if not isinstance(row, dict):
            raise UsageError(f"--grid {file}: row '{name}' holds no settings; {_FORMS[file.suffix == '.py']}")
    try:
        return [Row(name, _row_settings(row)) for name, row in rows.items()]
    except TypeError as error:
        raise UsageError(f"--grid {file}: a name of a setting is no text; {_FORMS[file.suffix == '.py']}") from error


def _row_settings(tree: Mapping[str, Any]) -> dict[str, Scalar]:
    """Flatten the settings of a row; a sequence becomes text, as on the command line."""
    lists = (list, tuple)
    return {name: ",".join(map(str, v)) if isinstance(v, lists) else v for name, v in flatten(tree).items()}
