"""Finished ablations in the site: the tables and figures that ``run.py ablation`` wrote."""

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
"""What a finished ablation has in its folder."""


@dataclass(frozen=True, slots=True)
class AblationPage:
    """The part of a method's page on one finished ablation.

    Attributes:
        name: its address on the site.
        folder: where its figures are.
        about: sentences in Markdown: data, setting.
        tables: the table of rows, then that of main effects if it has one.
        figures: by file name, without ending.
    """

    name: str
    folder: Path
    method: str
    about: str
    tables: Sequence[Table]
    figures: Sequence[str]


def find_ablations(*folders: Path | None) -> list[AblationPage]:
    """Find the ablations below the folders; where several have the same table, the first."""
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
