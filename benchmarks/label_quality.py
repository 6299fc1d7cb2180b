"""How good the pseudo-labels of finished runs were, against true identities, in one table.

``python -m benchmarks.label_quality RUN... --csv leaderboard/label_quality.csv`` takes the folders of runs, or a folder
of them, and writes a row for every epoch: clusters, images left out, agreement with identities of either modality, and
of matched or joint clusters the precision and recall of the pairs they declare one person. Taken from journals: true
identities are for diagnosis only, no training sees them. A record has no journal, so the table can be kept beside
records: protocol, method, configuration, data and seed tell whose row it is, ``row`` which row of an ablation. With
``--add`` rows that are in the file already stay.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from datasets.synthetic.spec import SyntheticSpec
from engine.files import void, write_atomically
from engine.registry import UsageError
from engine.types import MODALITIES
from leaderboard.record import Record, read_record

DIGITS = 4
NUMBERS = ["seed", "fold", "stage", "epoch"]
KEY = ["protocol", "method", "preset", "config", "row", "people", "data", *NUMBERS]


def table(folders: Sequence[Path]) -> pd.DataFrame:
    """Rows of all runs, sorted; empty fields where a method has no association or a modality no clusters.

    Raises:
        UsageError: two runs that should be equal are not.
    """
    return _sorted(pd.DataFrame([line for folder in folders for line in _run(folder)], dtype=object))


def added(file: Path, found: pd.DataFrame) -> pd.DataFrame:
    """Rows of a file and of a table together.

    Raises:
        UsageError: both have a run, and it differs.
    """
    return _sorted(pd.concat([_read(file), _read(io.StringIO(_text(found)))]))


def _read(source: Path | io.StringIO) -> pd.DataFrame:
    """Metrics as they are written; numbers of the key as numbers."""
    written = pd.read_csv(source, dtype=str, keep_default_na=False)
    return written.astype(dict.fromkeys(NUMBERS, int))


def _text(found: pd.DataFrame) -> str:
    return str(found.to_csv(index=False, lineterminator="\n"))


def _sorted(found: pd.DataFrame) -> pd.DataFrame:
    """Equal rows once, in the order of the key; refuses two that differ in the rest."""
    if found.empty:
        return found
    found = found.drop_duplicates().sort_values(KEY).reset_index(drop=True)
    twice = found[found.duplicated(KEY, keep=False)]
    if len(twice):
        run = ", ".join(f"{name} {value}" for name, value in twice.iloc[0][KEY].items() if value != "")
        raise UsageError(f"two runs differ that should be equal: {run}; leave one of them out")
    return found


def _run(folder: Path) -> Iterator[dict[str, Any]]:
    record = read_record(folder / "record.json")
    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in journal:
        if line["kind"] == "epoch":
            place = {"fold": line["fold"], "stage": line["stage_index"] + 1, "trained": line["stage"]}
            yield {**_whose(record), **place, "epoch": line["epoch"] + 1, **_quality(line)}


def _whose(record: Record) -> dict[str, Any]:
    result = record.result
    spec = (result.dataset["synthetic"] or {}).get("spec", {})
    usual = asdict(SyntheticSpec())
    changed = [f"{name}={value}" for name, value in sorted(spec.items()) if value != usual.get(name)]
    return {
        "protocol": result.protocol,
        "method": result.method,
        "preset": result.config["hyper"].get("preset", ""),
        "config": result.config_hash[:8],
        "row": str(record.provenance.get("ablation") or "").partition(": ")[2],
        "people": " ".join(changed),
        "data": result.dataset["fingerprint"],
        "seed": result.seed,
    }


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_quality", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--add", action="store_true", help="keep the rows that are in FILE")
    options = parser.parse_args(arguments)
    if options.add and (options.csv is None or not options.csv.exists()):
        parser.error("--add: --csv must name a table that is there")
    paths = {path.parent for run in options.runs for path in run.rglob("record.json")}
    folders = sorted(folder for folder in paths if (folder / "journal.jsonl").exists())
    if not folders:
        raise SystemExit(f"no finished run with a journal below {', '.join(map(str, options.runs))}")
    try:
        found = table(folders)
        if options.add:
            found = added(options.csv, found)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    if found.empty:
        raise SystemExit("none of these runs has trained anything")
    text = _text(found)
    if options.csv is None:
        print(text, end="")
    else:
        write_atomically(options.csv, lambda file: void(file.write(text.encode())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
