"""Options of the commands that embed pictures with a model."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from usvi_bench.core.options import add_import_option

if TYPE_CHECKING:
    from usvi_bench.engine.open_embedder import ModelRequest

MODEL = "weights of an encoder, a checkpoint, the folder of a run, or a model from 'export'"


def add_model_options(parser: ArgumentParser) -> None:
    """Add the options that select a network in ``--model`` and the device it runs on."""
    add_import_option(parser)
    parser.add_argument("--network", choices=("student", "teacher"), help="network in the file (default: the headline)")
    parser.add_argument("--fold", type=int, metavar="N", help="fold of a run that has several")
    parser.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="encoder.*, data.height, data.width, engine.threads",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="'auto' uses a GPU if any")


def model_request(options: Namespace, path: Path) -> ModelRequest:
    """Return the model that parsed options ask for."""
    from usvi_bench.engine.load_config import parse_settings
    from usvi_bench.engine.open_embedder import ModelRequest

    settings = parse_settings(options.settings)
    return ModelRequest(path, options.network, options.fold, settings, options.device, options.imports)
