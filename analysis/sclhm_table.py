"""Readings of SCLHM on development people: a row for each finished run, and the gain of each module.

``python -m analysis.sclhm_table RUN...`` reads folders of runs of ``sclhm_readings`` (``analysis/readings/``) on
several people and layouts, and prints a Markdown table. With ``--csv leaderboard/sclhm_readings.csv`` it writes a row
for each run instead, from which ``python -m reports.pages --write`` makes the table of ``docs/findings/sclhm.md``.
``--add`` keeps the rows that are already in the file.

The *reading* of a run is a digest of its settings, without those of modules that are off: they have no effect. The
counterpart of a run without a module is therefore the run with the digest in the column ``without_<module>``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from usvi_bench.analysis.run_tables import RUN_KEY, run_key, write_table
from usvi_bench.core.record import read_record
from usvi_bench.core.table import markdown_table
from usvi_bench.reports.pages.readings_table import HEADER, WITHOUT, reading_lines

KEY = [name for name in RUN_KEY if name != "fold"]
SETTINGS = {
    "sscl": {
        *(
            "sscl_on",
            "smoothing",
            "consistency",
            "teacher_temperature",
            "soft_rows",
            "soft_form",
            "reliability",
            "ramp",
        ),
    },
    "hml": {
        *("association", "members", "beta", "hybrid_dir", "hybrid_weight"),
        *("hybrid", "examples", "refresh", "matcher"),
    },
    "amu": {"amu_temperature", "trust", "amu_form", "margin_floor"},
}
"""Settings without effect on a training without the module."""


def reading(settings: Mapping[str, Any]) -> str:
    """Return a digest of the settings that have an effect."""
    idle = set().union(*(SETTINGS[module] for module in SETTINGS if not settings[module]))
    plain = json.dumps({name: value for name, value in settings.items() if name not in idle}, sort_keys=True)
    return f"r{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def reading_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Make the row of a run over its scored folds; none if it is of another method or a fold lacks trials."""
    record = read_record(folder / "record.json")
    in_part = [count for count in record.missing_trials.values() if count < record.result.trials]
    if record.result.method != "sclhm_readings" or in_part or not record.scores():
        return
    settings, key = record.result.config["method"], run_key(record, 0)
    del key["fold"]
    without = {WITHOUT[m]: reading({**settings, m: False}) if settings[m] else "" for m in SETTINGS}
    yield {**key, "reading": reading(settings), **without, "mAP": round(100 * record.means()["mAP"], 4)}


def to_markdown(found: pd.DataFrame) -> str:
    """Render the table of the readings."""
    return markdown_table(HEADER, [*reading_lines(found)]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the Markdown table, or write a row for each run to ``--csv``."""
    return write_table(arguments, "usvi_bench.analysis.sclhm_table", __doc__, KEY, reading_rows, to_markdown)


if __name__ == "__main__":
    sys.exit(main())
