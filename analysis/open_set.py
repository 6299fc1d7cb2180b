"""Open-set rates of finished runs, as a table.

``python -m analysis.open_set RUN... --csv FILE`` reads folders of runs, or folders that contain such folders, and
writes a row for each run: the rates in percent of the first trial of its first fold. The threshold for pairs aims at
one false acceptance in a hundred, that for identification at one in ten. ``reports/open_set.py`` defines the rates.
``--add`` keeps the rows that are already in the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from usvi_bench.analysis.run_tables import RUN_KEY, run_key, write_table
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import read_record
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.protocols.evaluation_file import load_evaluation
from usvi_bench.reports.open_set import Rates
from usvi_bench.reports.open_set_section import feature_open_set

ONE_IN = {"verification": 100, "identification": 10}
"""Target of the thresholds: one false acceptance in this many pairs, and in this many queries."""
DIGITS = 2


def rate_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Make the row of a run; none if it has no features of all images.

    Fields are empty if a threshold cannot be chosen, because there are too few people.

    Raises:
        UsageError: the run has too many pairs of images, no genuine one or no impostor.
    """
    record, file = read_record(folder / "record.json"), folder / "evaluation.npz"
    evaluation = load_evaluation(file) if file.exists() else None
    if evaluation is None or evaluation.features is None:
        return
    protocol = PROTOCOLS.get(record.result.protocol)()
    protocol.restore(record.result.headline)
    masks = protocol.masks(evaluation.query, evaluation.gallery)
    identities = (evaluation.query.identities, evaluation.gallery.identities)
    try:
        found = feature_open_set(evaluation.features, masks, identities)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}; leave this run out") from error
    fold = min(score.fold for score in record.scores())
    yield {
        **run_key(record, fold),
        **_percent(found.verification, ONE_IN["verification"], ("FAR", "TAR")),
        **_percent(found.identification, ONE_IN["identification"], ("FPIR", "DIR", "found")),
    }


def _percent(every: Sequence[Rates], one_in: int, names: Sequence[str]) -> dict[str, float | None]:
    (rates,) = (each for each in every if each.one_in == one_in)
    return {name: round(100 * rates.values[name][0], DIGITS) if rates.values else None for name in names}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table to ``--csv``, or print it."""
    return write_table(arguments, "usvi_bench.analysis.open_set", __doc__, RUN_KEY, rate_rows)


if __name__ == "__main__":
    sys.exit(main())
