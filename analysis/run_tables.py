"""Tables made from folders of finished runs: columns that identify a run, command line, merging with earlier rows."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_text
from usvi_bench.core.record import Record
from usvi_bench.core.table import csv_text
from usvi_bench.synthetic.spec import SyntheticSpec

RUN_KEY = ["protocol", "method", "form", "config", "row", "people", "data", "seed", "fold"]
"""Columns that identify a run and its fold; ``row`` is the row of an ablation, ``people`` lists the changed knobs."""
NUMBERS = ("seed", "fold", "stage", "epoch")

Rows = Callable[[Path], Iterable[dict[str, Any]]]
"""Function that makes the rows of a run from its folder; empty if the analysis does not apply to the run."""


def run_key(record: Record, fold: int) -> dict[str, Any]:
    """Return the columns :data:`RUN_KEY` of a run."""
    result, usual = record.result, SyntheticSpec()
    spec = (result.dataset["synthetic"] or {}).get("spec", {})
    population = {name: spec[name] for name in asdict(usual).keys() - usual.knobs().keys() if name in spec}
    changed = {name: value for name, value in population.items() if value != getattr(usual, name)}
    people = sorted({**changed, **result.dataset["knobs"]}.items())
    return {
        "protocol": result.protocol,
        "method": result.method,
        "form": result.config["method"].get("form", ""),
        "config": result.config_hash[:8],
        "row": str(record.provenance.get("ablation") or "").partition(": ")[2],
        "people": " ".join(f"{name}={value}" for name, value in people),
        "data": result.dataset["fingerprint"],
        "seed": result.seed,
        "fold": fold,
    }


def write_table(
    arguments: Sequence[str] | None,
    name: str,
    about: str | None,
    key: Sequence[str],
    rows: Rows,
    show: Callable[[pd.DataFrame], str] | None = None,
) -> int:
    """Run the command line of a table: ``RUN... [--csv FILE [--add]]``.

    Args:
        arguments: arguments of the command.
        name: name of the module.
        about: docstring of the module.
        key: columns that identify a row, in sorting order.
        rows: makes the rows of a run.
        show: makes the text to print of the table as it is read from its file; None for the text of the file.

    Raises:
        SystemExit: there are no rows, or two rows have equal keys but different values.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, or of several")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="file to write; default: print")
    parser.add_argument("--add", action="store_true", help="keep the rows that are in FILE")
    options = parser.parse_args(arguments)
    if options.add and (options.csv is None or not options.csv.exists()):
        parser.error("--add: --csv must name an existing table")
    folders = sorted({path.resolve().parent for run in options.runs for path in run.rglob("record.json")})
    try:
        found = pd.DataFrame([row for folder in folders for row in rows(folder)], dtype=object)
        if found.empty:
            raise UsageError(f"no finished runs with results for this table below {', '.join(map(str, options.runs))}")
        found = _ordered(
            pd.concat([_read(options.csv), _read(io.StringIO(_text(found)))]) if options.add else found, key
        )
    except UsageError as error:
        raise SystemExit(str(error)) from error
    if options.csv is None:
        sys.stdout.write(show(_read(io.StringIO(_text(found)))) if show else _text(found))
    else:
        write_text(options.csv, _text(found))
    return 0


def _ordered(found: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Sort rows by the key without duplicates; refuse rows with equal keys but different values."""
    found = found.drop_duplicates().sort_values(list(key)).reset_index(drop=True)
    twice = found[found.duplicated(list(key), keep=False)]
    if len(twice):
        run = ", ".join(f"{name} {value}" for name, value in twice.iloc[0][list(key)].items() if value != "")
        raise UsageError(f"two runs should be equal but differ: {run}; leave one of them out")
    return found


def _read(source: Path | io.StringIO) -> pd.DataFrame:
    """Read a table; numbers of the key become integers, everything else stays text."""
    written = pd.read_csv(source, dtype=str, keep_default_na=False)
    return written.astype({name: int for name in NUMBERS if name in written})


def _text(found: pd.DataFrame) -> str:
    marked = found.map(lambda value: csv_text(value) if isinstance(value, str) and not _is_number(value) else value)
    return str(marked.to_csv(index=False, lineterminator="\n"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
