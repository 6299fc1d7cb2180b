"""``run.py new method``: the files of a new method."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import Parser, command, program
from usvi_bench.core.paths import expanded
from usvi_bench.core.revision import ROOT, is_installed

QUICK = ("--protocol", "sysu_all", "--data", "synthetic:size=tiny", "--schedule", "quick")
"""Options of a first try."""


def parser() -> ArgumentParser:
    """Build the parser of the command ``new``."""
    made = Parser(
        prog=f"{program()} new",
        description="Write a working method to start from. In a checkout: its file, its tests, its rows in tests and "
        "README, a section of docs/methods.md and its committed defaults. With an installed package: a plug-in.",
    )
    made.add_argument("kind", choices=("method",), help="what to write")
    made.add_argument("name", metavar="NAME", help="name of --method: lower-case letters, digits and _")
    made.add_argument(
        "--output", type=expanded, metavar="FILE.py", help="write only a plug-in, to this file (docs/add_a_method.md)"
    )
    return made


def main(arguments: Sequence[str]) -> None:
    """Write the files, and print their paths and the next commands.

    Raises:
        UsageError: the name cannot be used, or a file exists or cannot be written; nothing is written.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.engine.new_method import add_method, write_plugin

    if options.output is not None or is_installed():
        if options.output is None and Path("usvi_bench/core/revision.py").exists():
            raise UsageError(
                "this folder is a checkout, but the command belongs to an installed package; give --output FILE.py for "
                f"a plug-in, or run: python run.py new method {options.name}"
            )
        path = write_plugin(options.name, options.output or Path(f"{options.name}.py"))
        print(f"{path}\nnext: {command('--import', str(path), '--method', options.name, *QUICK)}")
        return
    for written in add_method(options.name):
        print(ROOT / written)
    print(f"next: {command('--method', options.name, *QUICK)}")
    print(f"      make check-method NAME={options.name}")
