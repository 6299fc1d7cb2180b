"""Quality of the pseudo-labels of finished runs, compared with true identities, as a table.

``python -m analysis.label_quality RUN... --csv leaderboard/label_quality.csv`` reads folders of runs, or folders that
contain such folders, and writes a row per epoch: clusters, share of outliers, agreement with identities in each
modality, and, for matched or joint clusters, precision and recall of the pairs of images that they assign to one
person. The values come from journals; true identities are for diagnosis only; training does not use them. Records have
no journal, so this table is kept next to them: protocol, method, configuration, data and seed identify the run of a
row, ``row`` the row of an ablation. ``--add`` keeps the rows that are already in the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from usvi_bench.analysis.run_tables import RUN_KEY, run_key, write_table
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import read_record
from usvi_bench.core.types import MODALITIES

DIGITS = 4
KEY = [*RUN_KEY, "stage", "epoch"]


def label_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Make a row for every epoch of a run.

    Fields are empty if the method associates no clusters or a modality has none.
    """
    if not (folder / "journal.jsonl").exists():
        return
    record = read_record(folder / "record.json")
    journal, end = Journal(folder / "journal.jsonl"), record.journal_end
    for line in journal.read() if end is None else journal.read_all(end):
        if line["kind"] == "epoch":
            place = {"stage": line["stage_index"] + 1, "trained": line["stage"], "epoch": line["epoch"] + 1}
            yield {**run_key(record, line["fold"]), **place, **_quality(line)}


def _quality(line: dict[str, Any]) -> dict[str, Any]:
    quality, cells = line["quality"], {}
    for name in MODALITIES:
        cells[f"{name}_clusters"] = line["clusters"][name]
        cells[f"{name}_left_out"] = round(line["outliers"][name] / line["images"][name], DIGITS)
        for metric in ("ari", "purity"):
            cells[f"{name}_{metric}"] = _rounded(quality[name][metric])
    for metric in ("match_precision", "match_recall", "match_accuracy", "joint_precision", "joint_recall"):
        cells[metric] = _rounded(quality.get(metric))  # older journals lack the joint metrics
    return cells


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table to ``--csv``, or print it."""
    return write_table(arguments, "usvi_bench.analysis.label_quality", __doc__, KEY, label_rows)


if __name__ == "__main__":
    sys.exit(main())
