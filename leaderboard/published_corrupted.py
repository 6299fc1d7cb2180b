"""Published figures on corrupted images, shown beside scores of this suite on the same real test images."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from usvi_bench.core.record import Record
from usvi_bench.core.table import Table, Value, value_rows
from usvi_bench.leaderboard.score_rows import CORRUPTED

FILE = Path(__file__).with_name("published_corrupted.csv")
"""Figures of the README of MinghuiChen43/CIL-ReID @ac44dfa, in percent."""
METRICS = ("R1", "mAP", "mINP")
NOTE = (
    "Figures of the README of CIL (MinghuiChen43/CIL-ReID @ac44dfa), percent. These models were trained with "
    "identities, and scored by other code: one draw of corruptions, the feature before the neck, no mirror images."
)


@cache
def read_figures() -> Mapping[tuple[str, str, str], Mapping[str, float]]:
    """Read R1, mAP and mINP by protocol, method and condition (``clean``, ``corrupted``)."""
    with FILE.open(newline="") as file:
        return {
            (row["protocol"], row["method"], row["condition"]): {name: float(row[name]) for name in METRICS}
            for row in csv.DictReader(file)
        }


def beside(record: Record) -> Table | None:
    """Make the table of published figures and of a record; None unless it is of real images with such figures.

    >>> read_figures()["sysu_all_c", "AGW", "corrupted"]["mAP"]
    29.99
    """
    result = record.result
    figures = {key[1:]: values for key, values in read_figures().items() if key[0] == result.protocol}
    other = result.trained_on is not None or result.donors is not None or (result.headline["shots"] or 0) > 1
    clean = not result.headline["gallery"].endswith(CORRUPTED)
    if not figures or other or clean or result.dataset["synthetic"] is not None:
        return None
    rows: list[list[Value]] = [[method, *words, *values.values()] for (method, *words), values in figures.items()]
    means = record.means()
    rows.append([result.method, "corrupted, this run", *(100 * means[name] if means else None for name in METRICS)])
    return Table("Published figures", ["model", "images", *METRICS], value_rows(rows, 2), words=2, notes=[NOTE])
