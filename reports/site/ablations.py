"""Finished ablations as the site shows them: the tables and figures that ``run.py ablation`` wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.registry import UsageError
from leaderboard.markdown import MISSING
from reports.ablation_table import GRID
from reports.site.grid import Cell, Grid, Line

TABLE = "table.md"
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class AblationPage:
    """One finished grid.

    Attributes:
        name: its address on the site.
        folder: where its figures are.
        figures: by file name, without ending.
        about: sentences in Markdown: data, setting.
    """

    name: str
    folder: Path
    method: str
    about: str
    grid: Grid
    figures: Sequence[str]


def find_ablations(*folders: Path | None) -> list[AblationPage]:
    """Ablations below the folders; where several have the same table, the first."""
    found: dict[str, AblationPage] = {}
    for folder in folders:
        for path in sorted(folder.rglob(TABLE)) if folder is not None else ():
            if (path.parent / GRID).exists():
                found.setdefault(path.read_text(encoding="utf-8"), _read(path.parent, f"ablation-{len(found)}"))
    return list(found.values())


def _read(folder: Path, name: str) -> AblationPage:
    try:
        method = json.loads((folder / GRID).read_text(encoding="utf-8"))["method"]
        title, about, table, notes, *_ = (folder / TABLE).read_text(encoding="utf-8").split("\n\n")
    except (ValueError, KeyError) as error:
        raise UsageError(f"{folder}: not a finished ablation ({error}); make it again with run.py ablation") from error
    header, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines())
    lines = [Line([Cell(row[0].replace("\\|", "|")), *map(_cell, row[1:])]) for row in rows]
    grid = Grid(title.removeprefix("# "), header, lines, notes=re.findall(r"^\* (.+)$", notes, re.MULTILINE))
    figures = sorted(path.stem for path in folder.glob("*.svg"))
    return AblationPage(name, folder, method, about, grid, figures)


def _cell(text: str) -> Cell:
    """``27.1 ± 1.4`` in two parts, sorted by the first."""
    number = _NUMBER.match(text)
    if number is None:
        return Cell(text or MISSING)
    return Cell(number[0], float(number[0]), text[number.end() :].strip())
