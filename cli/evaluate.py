"""``run.py evaluate``: score a model that others trained, from its weights or from features of the test images."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.cli.model_options import add_device_option, add_output_option, add_set_option
from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import Parser, add_import_option, command, program
from usvi_bench.core.paths import expanded


def parser() -> ArgumentParser:
    """Build the parser of the command ``evaluate``."""
    parser = Parser(
        prog=f"{program()} evaluate", description="Score a model that others trained; see docs/external_models.md."
    )
    add_import_option(parser)
    parser.add_argument(
        "--weights",
        type=expanded,
        nargs="+",
        default=[],
        metavar="FILE",
        help="weights of an encoder, a release of ADCA, PGM, PCLHD, MMM or RPNR, a checkpoint of a training, or the "
        "folder of a run; several files for several folds",
    )
    parser.add_argument(
        "--features", type=expanded, nargs="+", default=[], metavar="FILE", help="features of the test images, .npz"
    )
    parser.add_argument("--protocol", metavar="P", help="protocol to score by; --list shows all")
    parser.add_argument("--data", default="auto", metavar="SPEC", help="as for a training (default: auto)")
    parser.add_argument(
        "--fold",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="fold that each file was trained on; needed if the data set has several and the file does not state it",
    )
    parser.add_argument("--model", choices=("student", "teacher"), help="network in the file")
    parser.add_argument(
        "--feature",
        choices=("bn+flip", "bn"),
        help="feature of --weights: the mean over an image and its mirror image (default), or the image alone",
    )
    parser.add_argument("--claims", metavar="TEXT", help="whose model it is, for example 'PGM @ed4a7df'")
    add_set_option(
        parser,
        "encoder.*, protocol.*, data.height, data.width, data.check_counts, data.depth_range, data.camera, "
        "engine.threads, engine.deterministic, engine.rerank",
    )
    add_device_option(parser)
    add_output_option(parser)
    return parser


def main(arguments: Sequence[str]) -> None:
    """Score the model, and print the scores, the path of the record and the next commands.

    Raises:
        UsageError: an option, a file or the data are wrong; nothing is written.
    """
    options = parser().parse_args(arguments)
    if options.protocol is None:
        raise UsageError(f"--protocol is missing; see {program()} --list")
    from usvi_bench.engine.display import Display
    from usvi_bench.engine.external import score_external
    from usvi_bench.engine.external_scoring import ExternalRequest
    from usvi_bench.engine.load_config import parse_settings

    display = Display()
    request = ExternalRequest(
        protocol=options.protocol,
        weights=options.weights,
        features=options.features,
        data=options.data,
        folds=options.fold,
        claims=options.claims,
        network=options.model,
        feature=options.feature,
        settings=parse_settings(options.settings),
        device=options.device,
        output=options.output,
        imports=options.imports,
    )
    record, path = score_external(request, display)
    display.result(record)
    display.print(str(path))
    display.print("to compare: leaderboard/PUBLISHED.md has published figures, leaderboard/LEADERBOARD.md our scores")
    display.print(f"next (the consistency of the record):\n  {command('check', str(path))}")
