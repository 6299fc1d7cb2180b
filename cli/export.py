"""``run.py export``: a model as ONNX files, for use without this suite."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.cli.model_options import add_model_options, model_request
from usvi_bench.core.options import Parser, program
from usvi_bench.core.paths import expanded


def parser() -> ArgumentParser:
    """Build the parser of the command ``export``."""
    parser = Parser(prog=f"{program()} export", description="Export a model to ONNX; see docs/search.md.")
    parser.add_argument(
        "model", type=expanded, metavar="RUN|FILE", help="weights of an encoder, a checkpoint, or the folder of a run"
    )
    parser.add_argument(
        "--output", type=expanded, required=True, metavar="DIR", help="new folder for two ONNX files and about.json"
    )
    add_model_options(parser)
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the files, and print their folder.

    Raises:
        UsageError: an option or the model is wrong, an extra is missing, or the files give other features.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.engine.display import Display
    from usvi_bench.engine.export import ExportRequest, export_model

    display = Display()
    display.print(str(export_model(ExportRequest(model_request(options, options.model), options.output), display)))
