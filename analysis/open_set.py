"""Open-set rates of finished runs, as a table.

``python -m analysis.open_set RUN... --csv leaderboard/open_set.csv`` reads folders of runs, or folders that contain
such folders, and writes a row for each run: the rates in percent of the first trial of its first fold, at thresholds
that aim at one false acceptance in a hundred. ``reports/open_set.py`` defines them. The features that they need are in
``evaluation.npz``, which is not committed, so this table is kept beside the records. ``--add`` keeps the rows that are
already in the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from usvi_bench.analysis.run_tables import RUN_KEY, run_key, write_table
from usvi_bench.core.record import read_record
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.protocols.evaluation_file import load_evaluation
from usvi_bench.reports.open_set import Rates
from usvi_bench.reports.open_set_section import feature_open_set

AIM = 100
"""One false acceptance in so many is aimed at."""
DIGITS = 2


def rate_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Make the row of a run; none if it has no features of all images, or scores images that it does not store.

    Fields are empty if a threshold cannot be chosen, because there are too few people.
    """
    record, file = read_record(folder / "record.json"), folder / "evaluation.npz"
    evaluation = load_evaluation(file) if file.exists() else None
    if evaluation is None or evaluation.features is None:
        return
    masks = PROTOCOLS.get(record.result.protocol)().masks(evaluation.query, evaluation.gallery)
    found = feature_open_set(evaluation.features, masks, (evaluation.query.identities, evaluation.gallery.identities))
    fold = min(record.result.folds)
    yield {
        **run_key(record, fold),
        **_percent(found.verification, ("FAR", "TAR")),
        **_percent(found.identification, ("FPIR", "DIR", "found")),
    }


def _percent(every: Sequence[Rates], names: Sequence[str]) -> dict[str, float | None]:
    (rates,) = (each for each in every if each.one_in == AIM)
    return {name: round(100 * rates.values[name][0], DIGITS) if rates.values else None for name in names}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table to ``--csv``, or print it."""
    return write_table(arguments, "usvi_bench.analysis.open_set", __doc__, RUN_KEY, rate_rows)


if __name__ == "__main__":
    sys.exit(main())
