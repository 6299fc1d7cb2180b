"""Tables made from the folders of finished runs and kept beside records: whose a row is, and which rows stay."""

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
from usvi_bench.synthetic.spec import SyntheticSpec

RUN_KEY = ["protocol", "method", "form", "config", "row", "people", "data", "seed", "fold"]
"""Columns that tell a run and its fold; ``row`` is that of an ablation, ``people`` the knobs that are turned."""
NUMBERS = ("seed", "fold", "stage", "epoch")

Rows = Callable[[Path], Iterable[dict[str, Any]]]
"""From a run's folder to its rows; none where the run has nothing to tell."""


def run_key(record: Record, fold: int) -> dict[str, Any]:
    """The columns :data:`RUN_KEY` of a run."""
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


def write_table(arguments: Sequence[str] | None, name: str, about: str | None, key: Sequence[str], rows: Rows) -> int:
    """The command of a table: ``RUN... [--csv FILE [--add]]``.

    Args:
        arguments: of the command.
        name: of the module.
        about: its docstring.
        key: columns that tell rows apart, sorted by.
        rows: makes the rows of a run.

    Raises:
        SystemExit: there is nothing to write, or two runs differ that should be equal.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, or of several")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write there instead of printing")
    parser.add_argument("--add", action="store_true", help="keep the rows that are in FILE")
    options = parser.parse_args(arguments)
    if options.add and (options.csv is None or not options.csv.exists()):
        parser.error("--add: --csv must name a table that is there")
    folders = sorted({path.resolve().parent for run in options.runs for path in run.rglob("record.json")})
    try:
        found = pd.DataFrame([row for folder in folders for row in rows(folder)], dtype=object)
        if found.empty:
            raise UsageError(f"nothing to tell of finished runs below {', '.join(map(str, options.runs))}")
        found = _ordered(
            pd.concat([_read(options.csv), _read(io.StringIO(_text(found)))]) if options.add else found, key
        )
    except UsageError as error:
        raise SystemExit(str(error)) from error
    if options.csv is None:
        sys.stdout.write(_text(found))
    else:
        write_text(options.csv, _text(found))
    return 0


def _ordered(found: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Equal rows once, in the order of the key; refuses two that differ in the rest."""
    found = found.drop_duplicates().sort_values(list(key)).reset_index(drop=True)
    twice = found[found.duplicated(list(key), keep=False)]
    if len(twice):
        run = ", ".join(f"{name} {value}" for name, value in twice.iloc[0][list(key)].items() if value != "")
        raise UsageError(f"two runs differ that should be equal: {run}; leave one of them out")
    return found


def _read(source: Path | io.StringIO) -> pd.DataFrame:
    """Metrics as they are written; numbers of the key as numbers."""
    written = pd.read_csv(source, dtype=str, keep_default_na=False)
    return written.astype({name: int for name in NUMBERS if name in written})


def _text(found: pd.DataFrame) -> str:
    return str(found.to_csv(index=False, lineterminator="\n"))
