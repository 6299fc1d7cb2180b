"""The command ``check``: consistency of records."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError, printable
from usvi_bench.core.formatting import counted
from usvi_bench.core.options import Parser, program
from usvi_bench.core.record import read_record


def parser() -> ArgumentParser:
    """Make the parser of the command."""
    made = Parser(
        prog=f"{program()} check", description="List contradictions in records; exit status 1 if there are any."
    )
    made.add_argument("records", nargs="+", type=Path, metavar="RECORD", help="record.json, or the folder of a run")
    return made


def main(arguments: Sequence[str]) -> None:
    """Check records, as ``python -m usvi_bench.leaderboard`` does before it makes its pages.

    Raises:
        SystemExit: with status 1 if a record is not consistent.
        UsageError: a file does not exist.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.leaderboard.consistency import faults

    wrong = 0
    for given in options.records:
        path = given / "record.json" if given.is_dir() else given
        if not path.is_file():
            raise UsageError(f"{path}: no such file; give a record.json or the folder of a run")
        try:
            found = faults(read_record(path))
        except UsageError as error:
            found = [str(error).removeprefix(f"{path}: ")]
        wrong += bool(found)
        print(f"{path}: {'consistent' if not found else counted(len(found), 'fault')}")
        for fault in found:
            print(f"  {printable(fault):.400}")
    if wrong:
        sys.exit(1)
