"""Table of the readings of SCLHM: scores on development people, and the gain of each module."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import MISSING
from usvi_bench.reports.pages.page_table import PageTable
from usvi_bench.reports.pages.sources import Sources

FILE = "sclhm_readings.csv"
"""Runs of the readings, made by ``analysis/sclhm_table.py``."""
MODULES = ("sscl", "hml", "amu")
PROTOCOLS = ("sysu_all", "regdb_v2i")
WITHOUT = {module: f"without_{module}" for module in MODULES}
"""Columns with the reading that differs in a module only, empty if the module is off."""
HEADER = ["", "n", *(f"`{protocol}`" for protocol in PROTOCOLS), *(module.upper() for module in MODULES)]


def reading_lines(found: pd.DataFrame) -> Iterator[list[str]]:
    """Make a line for each reading: mean mAP by layout, and the gain of each module over all people and layouts.

    A gain is the score of the reading minus that of its counterpart without the module, on the same people under the
    same protocol; mean ± standard error over the n sets of people of both layouts. A gain that exists for fewer sets
    has their number in brackets.

    Args:
        found: a row for each run, with the columns of :data:`FILE`.
    """
    places = [found[name] for name in ("protocol", "people", "seed")]
    scores = found["mAP"].astype(float).groupby([found["reading"], *places]).mean()
    whole = found[(found[list(WITHOUT.values())] != "").all(axis=1)].drop_duplicates("reading")
    for _, row in whole.sort_values("row").iterrows():
        own = scores[row["reading"]]
        yield [row["row"], str(len(own)), *_means(own), *(_gain(own, scores, row[name]) for name in WITHOUT.values())]
    for reading in found.loc[(found[list(WITHOUT.values())] == "").all(axis=1), "reading"].unique():
        own = scores[reading]
        yield ["no module", str(len(own)), *_means(own), *(MISSING for _ in MODULES)]


def _means(own: pd.Series) -> Iterator[str]:
    for protocol in PROTOCOLS:
        layout = own[own.index.get_level_values("protocol") == protocol]
        yield f"{layout.mean():.1f}" if len(layout) else MISSING


def _gain(own: pd.Series, scores: pd.Series, counterpart: str) -> str:
    if counterpart not in scores.index.get_level_values("reading"):
        return MISSING
    gains = (own - scores[counterpart]).dropna()
    if gains.empty:
        return MISSING
    spread = f" ± {gains.sem():.1f}" if len(gains) > 1 else ""
    return f"{gains.mean():+.1f}{spread}" + (f" ({len(gains)})" if len(gains) < len(own) else "")


def readings_table(name: str) -> PageTable:
    """Specify the table of the committed runs."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        file = sources.folder / FILE
        if not file.is_file():
            raise UsageError(f"{file} does not exist; make it with python -m analysis.sclhm_table RUN... --csv {file}")
        yield from reading_lines(pd.read_csv(file, keep_default_na=False))

    return PageTable(name, HEADER, rows)
