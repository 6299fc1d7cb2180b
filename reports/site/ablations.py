"""Finished ablations as the site shows them: the tables and figures that ``run.py ablation`` wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.leaderboard.markdown import MISSING
from usvi_bench.reports.ablation_table import GRID
from usvi_bench.reports.site.grid import Cell, Grid, Line

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
        grids: the table of rows, then that of main effects if it has one.
    """

    name: str
    folder: Path
    method: str
    about: str
    grids: Sequence[Grid]
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
        title, about, *blocks = (folder / TABLE).read_text(encoding="utf-8").split("\n\n")
        title = title.removeprefix("# ")
        around = zip(["", *blocks[:-2]], blocks[:-1], blocks[1:], strict=True)
        grids = [_grid(title, *parts) for parts in around if parts[1].startswith("| ")]
        if not grids:
            raise ValueError(f"no table in {TABLE}")
    except (ValueError, KeyError) as error:
        raise UsageError(f"{folder}: not a finished ablation ({error}); make it again with run.py ablation") from error
    return AblationPage(name, folder, method, about, grids, sorted(path.stem for path in folder.glob("*.svg")))


def _grid(title: str, before: str, table: str, notes: str) -> Grid:
    """A table, named after the heading before it if it has one of its own."""
    header, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines())
    lines = [Line([Cell(row[0].replace("\\|", "|").replace("`", "")), *map(_cell, row[1:])]) for row in rows]
    caption = f"{title}: {before.removeprefix('## ').lower()}" if before.startswith("## ") else title
    return Grid(caption, header, lines, notes=re.findall(r"^\* (.+)$", notes, re.MULTILINE))


def _cell(text: str) -> Cell:
    """``27.1 ± 1.4`` in two parts, sorted by the first."""
    number = _NUMBER.match(text)
    if number is None or "," in text:
        return Cell(text or MISSING)
    return Cell(number[0], float(number[0]), text[number.end() :].strip())
