"""Tables of the difficulty of development people: scores of methods by layout, and the criteria that they meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import MISSING
from usvi_bench.reports.pages.page_table import PageTable, format_mean_sd
from usvi_bench.reports.pages.sources import Sources

FILE = "difficulty.csv"
"""Scores by layout, method and data seed, made by ``analysis/difficulty.py``."""
PROTOCOLS = {"sysu": "sysu_all", "regdb": "regdb_v2i"}
"""Protocol of each layout."""
START, BOUND, FREE = "untrained", "supervised", "HOG"

BOUND_RANGE = 60.0, 95.0
"""mAP of the supervised bound."""
BELOW_BOUND = 25.0
"""Least distance of the start and of HOG to the supervised bound."""
ABOVE_START, METHODS_ABOVE = 5.0, 4
"""Least gain of a method over the start, and least number of methods with it."""

HEADER = ["method", *(cell for name in PROTOCOLS.values() for cell in (f"`{name}`", "above the start"))]
CRITERIA_HEADER = ["criterion", *(f"`{name}`" for name in PROTOCOLS.values())]


def by_people(rows: pd.DataFrame, layout: str, method: str) -> pd.Series:
    """Return the mAP of a method by data seed."""
    return rows[(rows["layout"] == layout) & (rows["method"] == method)].set_index("people")["mAP"]


def score_lines(rows: pd.DataFrame) -> Iterator[list[str]]:
    """Make a line for each method: mean and standard deviation of mAP over people, and the gain over the start.

    Args:
        rows: a row for each layout, method and data seed, with the columns of :data:`FILE`.
    """
    for method in rows["method"].unique():
        line = [f"`{method}`" if method != FREE else FREE]
        for layout in PROTOCOLS:
            found, start = by_people(rows, layout, method), by_people(rows, layout, START)
            gain = MISSING if found.empty else f"{(found - start).mean():+.1f}"
            line += [format_mean_sd(found), "" if method == START else gain]
        yield line


def criteria(rows: pd.DataFrame, layout: str) -> dict[str, tuple[str, bool]]:
    """Return for each criterion of a layout the figure of the means over people, and whether it meets the criterion."""
    mean = {method: by_people(rows, layout, method).mean() for method in rows["method"].unique()}
    trained = [mean[method] - mean[START] for method in mean if method not in (START, BOUND, FREE)]
    low, high = BOUND_RANGE
    above = sum(gain >= ABOVE_START for gain in trained)
    return {
        f"`{BOUND}` has a mAP of {low:.0f} to {high:.0f}": (f"{mean[BOUND]:.1f}", bool(low <= mean[BOUND] <= high)),
        **{
            f"{name} is at least {BELOW_BOUND:.0f} below": (
                f"{mean[BOUND] - mean[method]:.1f}",
                bool(mean[BOUND] - mean[method] >= BELOW_BOUND),
            )
            for name, method in ((f"`{START}`", START), (FREE, FREE))
        },
        f"at least {METHODS_ABOVE} methods are {ABOVE_START:.0f} above `{START}`": (
            f"{above} of {len(trained)}",
            above >= METHODS_ABOVE,
        ),
    }


def criteria_lines(rows: pd.DataFrame) -> Iterator[list[str]]:
    """Make a line for each criterion, with its figure in each layout and whether it is met."""
    found = {layout: criteria(rows, layout) for layout in PROTOCOLS}
    for text in found["sysu"]:
        cells = [found[layout][text] for layout in PROTOCOLS]
        yield [text, *(f"{figure}: {'yes' if met else 'no'}" for figure, met in cells)]


def difficulty_tables() -> Iterator[PageTable]:
    """Specify the tables ``difficulty`` and ``difficulty-criteria`` of the committed figures."""

    def read(sources: Sources) -> pd.DataFrame:
        file: Path = sources.folder / FILE
        if not file.is_file():
            raise UsageError(f"{file} does not exist; make it with python -m analysis.difficulty --csv {file}")
        return pd.read_csv(file)

    yield PageTable("difficulty", HEADER, lambda sources: score_lines(read(sources)))
    yield PageTable("difficulty-criteria", CRITERIA_HEADER, lambda sources: criteria_lines(read(sources)))
