"""Options that several commands share: settings, device, output folder, and the model that embeds pictures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _ActionsContainer
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from usvi_bench.core.options import Parser, add_import_option
from usvi_bench.core.paths import expanded

if TYPE_CHECKING:
    from usvi_bench.engine.open_embedder import ModelRequest

MODALITIES = ("visible", "infrared")
MODEL = "weights of an encoder, a checkpoint, the folder of a run, or a model from 'export'"


def add_set_option(parser: ArgumentParser, names: str, training: bool = False) -> None:
    """Add ``--set``.

    Args:
        parser: parser of a command.
        names: settings that the option has, for its help.
        training: whether it has all settings of a training; then unknown options suggest them.
    """
    if training and isinstance(parser, Parser):
        parser.explain = _explain
    parser.add_argument(
        "--set", dest="settings", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help=names
    )


def _explain(words: Sequence[str], flags: Sequence[str]) -> str:
    from usvi_bench.engine.find_setting import explain_words

    return explain_words(words, flags)


def add_device_option(parser: ArgumentParser, text: str = "'auto' (default) uses a GPU if there is one") -> None:
    """Add ``--device``."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help=text)


def add_output_option(parser: ArgumentParser) -> None:
    """Add ``--output``, the folder of all runs."""
    parser.add_argument(
        "--output", type=expanded, default=Path("runs"), metavar="DIR", help="folder of all runs (default: runs)"
    )


def add_modality_option(parser: _ActionsContainer, text: str, name: str = "--modality", required: bool = False) -> None:
    """Add an option that names a modality."""
    parser.add_argument(name, choices=MODALITIES, required=required, help=text)


def add_model_options(parser: ArgumentParser) -> None:
    """Add the options that select a network in ``--model`` and the device it runs on."""
    add_import_option(parser)
    parser.add_argument("--network", choices=("student", "teacher"), help="network in the file (default: the headline)")
    parser.add_argument("--fold", type=int, metavar="N", help="fold of a run that has several")
    add_set_option(parser, "encoder.*, data.height, data.width, data.depth_range, engine.threads, engine.deterministic")
    add_device_option(parser)


def model_request(options: Namespace, path: Path) -> ModelRequest:
    """Return the model that parsed options ask for."""
    from usvi_bench.engine.load_config import parse_settings
    from usvi_bench.engine.open_embedder import ModelRequest

    settings = parse_settings(options.settings)
    return ModelRequest(path, options.network, options.fold, settings, options.device, options.imports)
