"""The command ``check``: consistency of records."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import DamagedFileError, UsageError, printable
from usvi_bench.core.formatting import counted
from usvi_bench.core.journal import Journal
from usvi_bench.core.options import Parser, program
from usvi_bench.core.paths import expanded
from usvi_bench.core.record import Record, read_record


def parser() -> ArgumentParser:
    """Make the parser of the command."""
    made = Parser(
        prog=f"{program()} check", description="List contradictions in records; exit status 1 if there are any."
    )
    made.add_argument("records", nargs="+", type=expanded, metavar="RECORD", help="record.json, or the folder of a run")
    return made


def main(arguments: Sequence[str]) -> None:
    """Check records, as ``python -m usvi_bench.leaderboard`` does before it makes its pages.

    Raises:
        SystemExit: with status 1 if a record is not consistent.
        UsageError: a file does not exist.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.core.registry import METHODS
    from usvi_bench.leaderboard.consistency import faults
    from usvi_bench.leaderboard.sidecar_faults import sidecar_faults

    METHODS.names()  # a fault of an installed plug-in is none of a record
    wrong = 0
    for given in options.records:
        path = given / "record.json" if given.is_dir() else given
        if not path.is_file():
            raise UsageError(f"{path}: no such file; give a record.json or the folder of a run")
        try:
            record = read_record(path)
            found = [*faults(record), *sidecar_faults(path, record)]
            found += _journal_faults(path.with_name("journal.jsonl"), record)
        except UsageError as error:
            found = [str(error).removeprefix(f"{path}: ")]
        wrong += bool(found)
        outcome = "consistent" if not found else counted(len(found), "fault")
        print(f"{printable(path, lines=False)}: {outcome}")
        for fault in found:
            print(f"  {printable(fault, lines=False):.400}")
    if wrong:
        sys.exit(1)


def _journal_faults(path: Path, record: Record) -> list[str]:
    """Compare the journal beside a record with its mark, and its times with those of the record."""
    from usvi_bench.reports.check_lines import check_lines

    end = record.journal_end
    if end is None or not path.exists():
        return []
    try:
        epochs = [line for line in check_lines(Journal(path).read_all(end), path) if line["kind"] == "epoch"]
    except DamagedFileError as error:
        return [f"provenance.journal: {error}"]
    found = []
    for phase, value in record.provenance["seconds"].items():
        times = [line["seconds"][phase] for line in epochs if phase in line["seconds"]]
        if times and abs(sum(times) - value) > 1e-6:
            found.append(f"provenance.seconds.{phase}: {value}, but the epochs of the journal took {sum(times)}")
    return found
