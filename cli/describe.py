"""``run.py describe``: what the settings and the forms of a method change."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.core.errors import printable
from usvi_bench.core.options import Parser, add_import_option, program


def parser() -> ArgumentParser:
    """Build the parser of the command ``describe``."""
    made = Parser(
        prog=f"{program()} describe",
        description="List every setting in which 'paper' differs from 'shared', what the form 'released' computes "
        "differently, and the command that imitates a released training.",
    )
    add_import_option(made)
    made.add_argument("method", metavar="METHOD", help="method; --list of a run shows all")
    made.add_argument("--protocol", default="sysu_all", metavar="P", help="protocol (default: sysu_all)")
    return made


def main(arguments: Sequence[str]) -> None:
    """Print the description.

    Raises:
        UsageError: an unknown method or protocol.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.core.plugins import import_plugins
    from usvi_bench.engine.describe import describe_method

    import_plugins(options.imports)
    print("\n\n".join(printable(part) for part in describe_method(options.method, options.protocol)))
