"""``run.py verify``: compare the first epoch of a released form with a released training log."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.cli.model_options import add_device_option, add_set_option
from usvi_bench.core.options import Parser, add_import_option, program


def parser() -> ArgumentParser:
    """Build the parser of the command ``verify``."""
    made = Parser(
        prog=f"{program()} verify",
        description="Train the first epoch as released (--setting paper --set method.form=released), and compare its "
        "clusters and losses with a released log. Nothing is kept. Exit status 1 if a number differs.",
    )
    add_import_option(made)
    made.add_argument("method", metavar="METHOD", help="method; --list of a run shows all")
    made.add_argument("--data", required=True, metavar="DIR", help="folder of the data set, with real images")
    made.add_argument("--protocol", default="sysu_all", metavar="P", help="protocol (default: sysu_all)")
    made.add_argument("--weights", metavar="FILE", help="starting weights of the log, ImageNet's")
    add_device_option(made, "as for a run")
    add_set_option(made, "engine.* and train.embed_batch only")
    return made


def main(arguments: Sequence[str]) -> None:
    """Print a line for each number of the log.

    Raises:
        SystemExit: with status 1 if a number differs by more than its tolerance.
        UsageError: there is no anchor, or an option is wrong; raised before any work is done.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.core.process_memory import keep_freed_memory
    from usvi_bench.engine.load_config import parse_settings
    from usvi_bench.engine.verify import EpochDisplay, find_experiment, verify

    keep_freed_memory()
    experiment, anchor = find_experiment(
        options.method,
        options.protocol,
        options.data,
        options.weights,
        options.device,
        parse_settings(options.settings),
        tuple(options.imports),
    )
    display = EpochDisplay()
    compared = verify(experiment, anchor, display)
    display.print(f"log: {anchor.source}")
    for comparison in compared:
        display.print(comparison.sentence)
    if not all(comparison.within for comparison in compared):
        display.print("reading, network, clustering, augmentation and losses together are not as in the log")
        sys.exit(1)
