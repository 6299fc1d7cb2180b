"""Finished ablations in the site, with the tables and figures written by ``run.py ablation``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.table import Table
from usvi_bench.reports.ablation import conditions
from usvi_bench.reports.ablation_effects import effects_table
from usvi_bench.reports.ablation_table import GRID, read_ablation, rows_table

TABLE = "table.md"
"""File that marks the folder of a finished ablation."""


@dataclass(frozen=True, slots=True)
class AblationPage:
    """Ablation in the page of its method.

    Attributes:
        name: folder name on the site.
        folder: folder with its figures.
        about: data and setting, in Markdown.
        tables: table of rows, then the table of effects if it exists.
        figures: file names without ending.
    """

    name: str
    folder: Path
    method: str
    about: str
    tables: Sequence[Table]
    figures: Sequence[str]


def find_ablations(*folders: Path | None) -> list[AblationPage]:
    """Find ablations below the folders; for equal tables, only the first."""
    found: dict[str, AblationPage] = {}
    for folder in folders:
        for path in sorted(folder.rglob(TABLE)) if folder is not None else ():
            text = path.read_text(encoding="utf-8")
            if (path.parent / GRID).exists() and text not in found:
                found[text] = _read(path.parent, f"ablation-{len(found)}")
    return list(found.values())


def _read(folder: Path, name: str) -> AblationPage:
    try:
        ablation = read_ablation(folder)
        tables = [table for table in (rows_table(ablation), effects_table(ablation)) if table is not None]
        method, about = ablation.about["method"], conditions(ablation)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder}: not a finished ablation ({error}); make it again with run.py ablation") from error
    return AblationPage(name, folder, method, about, tables, sorted(path.stem for path in folder.glob("*.svg")))
