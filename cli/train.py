"""``run.py``: train and score a method."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from usvi_bench.cli.commands import SUMMARIES
from usvi_bench.cli.model_options import add_device_option, add_output_option, add_set_option
from usvi_bench.core.errors import UsageError, printable
from usvi_bench.core.options import Parser, add_import_option, command, program
from usvi_bench.core.paths import expanded
from usvi_bench.core.settings import SHARED

if TYPE_CHECKING:
    from usvi_bench.engine.experiment import Experiment


def parser() -> argparse.ArgumentParser:
    """Build the parser of ``run.py`` without a command."""
    parser = experiment_parser()
    parser.add_argument("--resume", action="store_true", help="continue an unfinished training")
    parser.add_argument("--overwrite", action="store_true", help="train again from the start")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing and write nothing; print the stages, what is reused, and the expected time and memory",
    )
    parser.add_argument(
        "--track",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="trackers that follow the training: tensorboard, wandb (offline), mlflow; see docs/tracking.md",
    )
    parser.add_argument(
        "--no-report", action="store_true", help="draw no figures; the command 'report' draws them later"
    )
    listing = parser.add_mutually_exclusive_group()
    listing.add_argument("--list", action="store_true", help="list methods, encoders, protocols and data sets")
    listing.add_argument(
        "--check-data",
        type=expanded,
        metavar="PATH",
        help="count the images of a data folder, or of a table of own images, and list what is missing",
    )
    parser.add_argument(
        "--contact-sheet",
        type=expanded,
        metavar="FILE.png",
        help="with --check-data, for own images: draw some of them; the picture shows real people",
    )
    return parser


def experiment_parser() -> Parser:
    """Build a parser with the options that describe an experiment."""
    parser = Parser(
        prog=program(),
        description="Train and score a method of unsupervised visible-infrared re-identification.",
        epilog="\n".join(
            [
                f"example:\n  {command('--method', 'sclhm')} --protocol sysu_all --seed 1",
                f"\nother commands ({command('COMMAND', '--help')}):",
                *(f"  {name:<10} {summary}" for name, summary in SUMMARIES.items()),
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_import_option(parser)
    parser.add_argument("--method", metavar="M", help="method to run; --list shows all")
    parser.add_argument("--protocol", metavar="P", help="protocol to score by; --list shows all")
    parser.add_argument(
        "--data",
        default="auto",
        metavar="SPEC",
        help="folder of the data set, 'synthetic[:size=small,seed=0,...]', or 'auto' (default): the real data set if "
        "it is in USVI_DATA or ./data, else synthetic people",
    )
    parser.add_argument(
        "--train-data",
        metavar="SPEC",
        help="train on this data set, and score on that of --data: a folder, a table, or 'synthetic[:...]'",
    )
    parser.add_argument(
        "--donors",
        metavar="SPEC",
        help="people whose visible images replace those of the share data.foreign of the training people: a data set, "
        "or a folder of visible images; see docs/robustness.md",
    )
    parser.add_argument(
        "--camera-pattern",
        metavar="REGEX",
        help="own images in folders: regular expression whose first group is the camera in the name of a file, such as "
        r"'_c(\d+)' (data.camera)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the run (default 0)")
    parser.add_argument(
        "--setting",
        default=SHARED,
        metavar="NAME",
        help="settings to start from: 'shared', the same for all methods (default), or 'paper', the method's own",
    )
    parser.add_argument(
        "--schedule",
        metavar="NAME|FILE",
        help="short training, which replaces lengths and sizes of the settings: 'quick' for a first try, 'full_short' "
        "to measure speed on a large GPU, or the path of an own file, .toml or .json (.py is executed)",
    )
    add_set_option(
        parser, f"settings to change, e.g. method.eps=0.4; '{command('settings', 'METHOD')}' lists all", training=True
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="starting weights: a file, 'imagenet' (the public file of the encoder, in a cache of torch or timm), "
        "'small16' (weights of the suite for the encoder 'small', pretrained with identity labels on visible images of "
        "other synthetic people; the default on synthetic people), or 'random'",
    )
    add_device_option(parser)
    add_output_option(parser)
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="use only deterministic GPU kernels, which are slower (engine.deterministic)",
    )
    return parser


def main(words: Sequence[str]) -> None:
    """Train and score, list what is registered, or describe a data folder.

    Raises:
        UsageError: an option or a setting is wrong; raised before any work is done.
        SystemExit: with status 1 if the data folder is not complete.
    """
    options = parser().parse_args(words)
    if options.list or options.check_data is not None:
        from usvi_bench.core.plugins import import_plugins

        import_plugins(options.imports)
    if options.list:
        print(_listing())
    elif options.check_data is not None:
        _check_data(options)
    else:
        _run(options)


def _check_data(options: argparse.Namespace) -> None:
    """Describe a data folder; ``--set`` may have the settings that own images are read with."""
    from usvi_bench.datasets.check import check_folder
    from usvi_bench.datasets.grey_depth import EACH_IMAGE
    from usvi_bench.engine.load_config import parse_settings

    settings = parse_settings(options.settings)
    camera = options.camera_pattern or settings.pop("data.camera", "")
    depth_range = settings.pop("data.depth_range", EACH_IMAGE)
    if settings:
        raise UsageError(f"--set {next(iter(settings))} does not apply to --check-data; leave it out")
    text, complete = check_folder(options.check_data, camera, options.contact_sheet, depth_range)
    print(printable(text))
    if not complete:
        sys.exit(1)


def experiment_of(options: argparse.Namespace) -> Experiment:
    """Build the experiment that the options describe.

    Raises:
        UsageError: the method or the protocol is missing.
    """
    from usvi_bench.engine.experiment import Experiment
    from usvi_bench.engine.load_config import parse_settings

    for name in ("method", "protocol"):
        if getattr(options, name) is None:
            raise UsageError(f"--{name} is missing; see {program()} --list")
    values = {f.name: getattr(options, f.name) for f in fields(Experiment)}
    settings = parse_settings(options.settings)
    if options.camera_pattern is not None:
        settings = {"data.camera": options.camera_pattern, **settings}
    return Experiment(**{**values, "settings": settings})


def _run(options: argparse.Namespace) -> None:
    from usvi_bench.api import run_experiment
    from usvi_bench.cli.ending import ending
    from usvi_bench.cli.failures import interruption_status
    from usvi_bench.core.distributed.process_info import process_info
    from usvi_bench.core.process_memory import keep_freed_memory
    from usvi_bench.engine.display import Display

    if options.contact_sheet is not None:
        raise UsageError("--contact-sheet belongs to --check-data; leave it out")
    keep_freed_memory()
    display = Display(quiet=not process_info().is_main_process)
    experiment = experiment_of(options)
    if options.dry_run:
        from usvi_bench.engine.dry_run import describe_run

        for line in describe_run(experiment, resume=options.resume, overwrite=options.overwrite):
            display.print(line)
        return
    try:
        record, files = run_experiment(
            experiment,
            resume=options.resume,
            overwrite=options.overwrite,
            report=not options.no_report,
            display=display,
            track=options.track,
        )
    except KeyboardInterrupt as error:
        words = [*experiment.words(), "--resume", *(["--no-report"] if options.no_report else [])]
        words += [word for name in options.track for word in ("--track", name)]
        display.print(f"interrupted; finished epochs are kept. To continue: {command(*words)}")
        raise SystemExit(interruption_status(error)) from None
    if record is None:
        return
    display.result(record)
    for line in ending(experiment, record, files):
        display.print(line)


def _listing() -> str:
    from usvi_bench.core.registry import DATASETS, ENCODERS, METHODS, PROTOCOLS

    parts = []
    kinds = {"methods": METHODS, "encoders": ENCODERS, "protocols": PROTOCOLS, "data sets": DATASETS}
    for title, registry in kinds.items():
        parts.append(title)
        parts += [f"  {name:<18} {getattr(registry.get(name), 'summary', '')}" for name in registry.names()]
    parts.append("  synthetic          generated people, in the layout that the protocol needs")
    return "\n".join(parts)
