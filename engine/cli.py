"""The command line: reads it, checks everything, runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import torch
from rich.console import Console

from components.processes import check_parts
from datasets.base import Dataset
from datasets.check import describe
from datasets.source import open_dataset
from engine import distributed
from engine.config import SHARED, load_config
from engine.device import set_up
from engine.files import StorageError
from engine.options import Parser
from engine.place import place
from engine.progress import Progress
from engine.registry import DATASETS, METHODS, PROTOCOLS, UsageError, did_you_mean
from engine.run import Run
from engine.source import open_start, profile_of

COMMANDS = {
    "ablation": "engine.sweep.command",
    "pretrain": "engine.pretrain",
    "report": "reports.command",
    "site": "reports.site.command",
}
"""What ``run.py`` does besides training: the word after it, and the module whose ``main`` it calls."""
Opener = Callable[..., tuple[Dataset, str]]
"""Opens a data set as :func:`datasets.source.open_dataset` does."""


def parser() -> argparse.ArgumentParser:
    """All options of ``run.py``."""
    parser = Parser(
        prog="run.py",
        description="Train and score a method for unsupervised visible-infrared person re-identification.",
        epilog="example: python run.py --method sclhm --protocol sysu_all --seed 1 --set train.epochs=10; "
        f"other commands: {', '.join(COMMANDS)} (python run.py COMMAND --help)",
    )
    parser.add_argument("--method", metavar="M", help="method to run; --list shows all")
    parser.add_argument("--protocol", metavar="P", help="how to score; --list shows all")
    parser.add_argument(
        "--data",
        default="auto",
        metavar="SPEC",
        help="folder of the data set, 'synthetic[:size=small,seed=0,...]', or 'auto': USVI_DATA or ./data if the "
        "real set is there, else synthetic people (default)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--setting",
        default=SHARED,
        metavar="NAME",
        help="settings to start from: 'shared', the same for all methods (default), or 'paper', the method's own",
    )
    parser.add_argument(
        "--schedule",
        metavar="NAME",
        help="lengths and sizes for measuring: 'full_short' fits ten minutes of a large GPU",
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="settings, e.g. method.eps=0.4"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="starting weights: a file, or 'random'; by default, synthetic people start from shipped weights, "
        "pretrained with identities on visible pictures of other synthetic people",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--output", type=Path, default=Path("runs"), metavar="DIR", help="folder that keeps all runs")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="equal results each time on a GPU too, slower (engine.deterministic)",
    )
    parser.add_argument("--resume", action="store_true", help="continue an unfinished training")
    parser.add_argument("--overwrite", action="store_true", help="train again from the start")
    parser.add_argument("--no-report", action="store_true", help="draw no figures; run.py report draws them later")
    parser.add_argument("--list", action="store_true", help="show methods, protocols and data sets")
    parser.add_argument("--check-data", type=Path, metavar="PATH", help="say what a data folder holds and lacks")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        Exit status: 0, 2 for a mistake in what was asked for, 1 for a disk that refused a write or a lost process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in COMMANDS:
            if place().world > 1:
                raise UsageError(f"'{words[0]}' is no training: start it without torchrun or srun, in one process")
            import_module(COMMANDS[words[0]]).main(words[1:])
        else:
            _train_or_tell(words)
    except UsageError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    except (StorageError, distributed.LostProcessError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    return 0


def _train_or_tell(words: Sequence[str]) -> None:
    if words and not words[0].startswith("-"):
        raise UsageError(f"unknown command '{words[0]}': {did_you_mean(words[0], COMMANDS)}")
    options = parser().parse_args(words)
    if options.list:
        print(_listing())
    elif options.check_data is not None:
        print(describe(options.check_data))
    else:
        _run(options)


def prepare(options: argparse.Namespace, progress: Progress, opener: Opener = open_dataset) -> Run:
    """Everything that can be wrong is found here, before any work is done."""
    for name in ("method", "protocol"):
        if getattr(options, name) is None:
            raise UsageError(f"--{name} is missing; see python run.py --list")
    METHODS.get(options.method)
    kind = PROTOCOLS.get(options.protocol).dataset
    if options.resume and options.overwrite:
        raise UsageError("--resume continues a training and --overwrite discards it: give one of them")
    _check_output(options.output)
    # settings are checked before the data set, which may take a while to open, and again with its own profile
    settled = {"seed": options.seed, "settings": options.set, "setting": options.setting, "schedule": options.schedule}
    early = load_config(options.method, options.protocol, profile=kind, **settled)
    device = distributed.device(options.device)
    set_up(device, early.engine.deterministic or options.deterministic)
    distributed.start(device, early.engine.timeout)
    check_parts(early.encoder.bn_groups)
    with distributed.leader_first():
        dataset, sentence = opener(kind, options.data, progress=progress.say, check_counts=early.data.check_counts)
    progress.say(sentence)
    profile = profile_of(kind, dataset.synthetic)
    config = load_config(options.method, options.protocol, profile=profile, **settled)
    check_parts(config.encoder.bn_groups)
    torch.set_num_threads(config.engine.threads or max(1, len(os.sched_getaffinity(0)) // place().neighbours))
    progress.log_every = config.engine.log_every
    start = open_start(options.weights, dataset, config)
    progress.say(f"starting weights: {start.source}")
    return Run(
        config=config,
        dataset=dataset,
        data_sentence=sentence,
        protocol=PROTOCOLS.get(options.protocol)(config.scoring),
        start=start,
        output=options.output,
        device=device,
        progress=progress,
        report=not options.no_report,
        chosen=_chosen(options),
    )


def _chosen(options: argparse.Namespace) -> list[str]:
    """The options that change a setting, as they were given."""
    words = ["--schedule", options.schedule] if options.schedule else []
    words += ["--deterministic"] if options.deterministic else []
    return [*words, "--set", *options.set] if options.set else words


def _run(options: argparse.Namespace) -> None:
    leads = place().leads
    progress = Progress(console=None if leads else Console(quiet=True, force_terminal=False))
    with distributed.watched():
        run = prepare(options, progress)
        if leads and not (options.resume or options.overwrite):
            run.refuse_unfinished()
        means = run.execute(options.overwrite)
    distributed.stop()  # not after an error: the group may be what failed
    if not leads:
        return
    progress.table(f"{options.method} on {options.protocol}, seed {options.seed} (percent, last epoch)", means)
    progress.say(run.data_sentence)
    for name in ("record.json", "report/report.md")[: 1 if options.no_report else 2]:
        progress.say(str(run.folder / name))


def _check_output(output: Path) -> None:
    for path in (output, *output.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"--output {output}: {path} is a file, not a folder; choose another --output")


def _listing() -> str:
    parts = []
    for title, registry in (("methods", METHODS), ("protocols", PROTOCOLS), ("data sets", DATASETS)):
        parts.append(title)
        parts += [f"  {name:<18} {registry.get(name).summary}" for name in registry.names()]
    parts.append("  synthetic          embedded synthetic people in the layout the protocol needs")
    return "\n".join(parts)
