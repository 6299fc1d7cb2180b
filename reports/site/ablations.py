"""Finished ablations in the site, with the tables and figures written by ``run.py ablation``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.table import Table
from usvi_bench.reports.ablation import conditions
from usvi_bench.reports.ablation_effects import effects_table
from usvi_bench.reports.ablation_table import GRID, read_ablation, rows_table
from usvi_bench.reports.site.plain_files import FIGURE, read_image, read_plain_file

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

    def images(self) -> Iterator[tuple[str, bytes]]:
        """Read the files of the figures as (name, content).

        Raises:
            ValueError: a file is not an image of its kind, or is a link.
            OSError: a file cannot be read.
        """
        for name in (f"{figure}.{kind}" for figure in self.figures for kind in ("svg", "png")):
            yield name, read_image(self.folder, name)


def find_ablations(
    committed: Path, runs: Path | None, say: Callable[[str], None] = lambda _: None
) -> list[AblationPage]:
    """Find ablations below two folders; for equal tables, only the first.

    Args:
        committed: folder of committed ablations.
        runs: folder of finished runs, or None.
        say: function that receives a notice about each damaged ablation below ``runs``, which is skipped.

    Raises:
        UsageError: a committed ablation is damaged.
    """
    found: dict[bytes, AblationPage] = {}
    for folder in (committed, runs):
        for path in sorted(folder.rglob(TABLE)) if folder is not None else ():
            if not (path.parent / GRID).exists():
                continue
            try:
                text = read_plain_file(path.parent, TABLE)
                if text not in found:
                    found[text] = _read(path.parent, f"ablation-{len(found)}")
            except (OSError, ValueError, LookupError, TypeError, AttributeError, UsageError) as error:
                reason = f"{path.parent}: not a finished ablation ({error}); make it again with run.py ablation"
                if folder is committed:
                    raise UsageError(reason) from error
                say(f"skipped: {reason}")
    return list(found.values())


def _read(folder: Path, name: str) -> AblationPage:
    ablation = read_ablation(folder)
    tables = [table for table in (rows_table(ablation), effects_table(ablation)) if table is not None]
    figures = sorted(path.stem for path in folder.glob("*.svg") if FIGURE.fullmatch(path.name))
    page = AblationPage(name, folder, str(ablation.about["method"]), conditions(ablation), tables, figures)
    for _ in page.images():  # refuse damaged figures here, before a page is written
        pass
    return page
