"""How good the pseudo-labels of finished runs were, against true identities, in one table.

``python -m analysis.label_quality RUN... --csv leaderboard/label_quality.csv`` takes the folders of runs, or a folder
of them, and writes a row for every epoch: clusters, images left out, agreement with identities of either modality, and
of matched or joint clusters the precision and recall of the pairs they declare one person. Taken from journals: true
identities are for diagnosis only, no training sees them. A record has no journal, so the table can be kept beside
records: protocol, method, configuration, data and seed tell whose row it is, ``row`` which row of an ablation. With
``--add`` rows that are in the file already stay.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from usvi_bench.analysis.run_tables import RUN_KEY, run_key, write_table
from usvi_bench.core.record import read_record
from usvi_bench.core.types import MODALITIES

DIGITS = 4
KEY = [*RUN_KEY, "stage", "epoch"]


def label_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Of every epoch of a run; empty fields where a method has no association or a modality no clusters."""
    if not (folder / "journal.jsonl").exists():
        return
    record = read_record(folder / "record.json")
    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in journal:
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
        cells[metric] = _rounded(quality.get(metric))  # older journals know no joint ones
    return cells


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or print it without ``--csv``."""
    return write_table(arguments, "usvi_bench.analysis.label_quality", __doc__, KEY, label_rows)


if __name__ == "__main__":
    sys.exit(main())
