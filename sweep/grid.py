"""Rows of a grid: named settings of one method, read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.options import explain_missing_path
from usvi_bench.core.settings import flatten
from usvi_bench.engine.load_config import CONFIGS, read_file

Scalar = bool | int | float | str | None


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
        file = CONFIGS / "ablations" / f"{method}.py"
        if not file.exists():
            known = sorted(path.stem for path in file.parent.glob("*.py"))
            raise UsageError(f"no ablation grid for '{method}': {did_you_mean(method, known)}; or give one with --grid")
    elif not file.is_file():
        raise UsageError(f"--grid {file}: {explain_missing_path(file)}")
    try:
        rows = read_file(file).get("rows")
    except Exception as error:  # any mistake that a Python file can hold
        raise UsageError(f"--grid {file}: {type(error).__name__}: {error}") from error
    if (
        not isinstance(rows, dict)
        or not rows
        or not all(isinstance(n, str) and isinstance(row, dict) for n, row in rows.items())
    ):
        raise UsageError(f'--grid {file}: write rows = {{"name of the row": {{"method": {{"eps": 0.4}}}}, ...}}')
    return [Row(name, _row_settings(row)) for name, row in rows.items()]


def _row_settings(tree: Mapping[str, Any]) -> dict[str, Scalar]:
    """Flatten the settings of a row; a sequence becomes text, as on the command line."""
    lists = (list, tuple)
    return {name: ",".join(map(str, v)) if isinstance(v, lists) else v for name, v in flatten(tree).items()}
