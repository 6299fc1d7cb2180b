"""``run.py doctor``: examine this machine, and optionally one training, before a run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from usvi_bench.core.errors import UsageError, printable
from usvi_bench.core.options import program


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command ``doctor``: the options of an experiment, ``--processes`` and ``--json``."""
    from usvi_bench.cli.train import experiment_parser

    made = experiment_parser()
    made.prog = f"{program()} doctor"
    made.description = (
        "Examine this machine: versions, devices, folders, data sets, shipped weights; with --method and --protocol "
        "also what their training would use. Exit status 1 if a run would fail."
    )
    made.epilog = None
    made.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="state the memory of each of N processes, one for each GPU",
    )
    made.add_argument("--json", action="store_true", help="print the findings as JSON")
    return made


def _refuse_unused(options: argparse.Namespace) -> None:
    for action in parser()._actions:
        used = action.dest in ("device", "help", "json", "output")
        if not used and getattr(options, action.dest) != action.default:
            raise UsageError(f"{action.option_strings[0]} belongs to a training; give --method and --protocol too")


def main(arguments: Sequence[str]) -> None:
    """Print the findings.

    Raises:
        SystemExit: with status 1 if a run would fail.
        UsageError: an option is wrong, only one of ``--method`` and ``--protocol`` is given, or an option of a training
            without them.
    """
    options = parser().parse_args(arguments)
    if options.processes is not None and options.processes < 1:
        raise UsageError(f"--processes {options.processes}: give a number of 1 or more")
    if not (options.method or options.protocol):
        _refuse_unused(options)
    from usvi_bench.cli.train import experiment_of
    from usvi_bench.engine.doctor import examine
    from usvi_bench.engine.doctor_training import examine_training

    experiment = experiment_of(options) if options.method or options.protocol else None
    findings = list(examine(options.device, options.output, data=experiment is None or experiment.data == "auto"))
    if experiment is not None:
        findings += examine_training(experiment, options.processes)
    wrong = [finding for finding in findings if finding.remedy]
    if options.json:
        print(json.dumps({"ready": not wrong, "findings": [asdict(finding) for finding in findings]}, indent=1))
    else:
        for finding in findings:
            print(printable(f"{finding.topic}: {finding.text}"))
            if finding.remedy:
                print(printable(f"  a run would fail; remedy: {finding.remedy}"))
        print("a run would fail" if wrong else "ready")
    if wrong:
        sys.exit(1)
