"""``run.py embed``: features of pictures, as a file to search and to cluster."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.cli.model_options import MODEL, add_modality_option, add_model_options, model_request
from usvi_bench.core.options import Parser, program
from usvi_bench.core.paths import expanded


def parser() -> ArgumentParser:
    """Build the parser of the command ``embed``."""
    parser = Parser(prog=f"{program()} embed", description="Write the features of pictures; see docs/search.md.")
    parser.add_argument(
        "data", metavar="DATA|FOLDER", help="a data set, 'synthetic[:size=...]', or a plain folder of pictures"
    )
    parser.add_argument("--model", type=expanded, required=True, metavar="RUN|FILE", help=MODEL)
    parser.add_argument("--output", type=expanded, required=True, metavar="F.npz", help="features file to write")
    add_modality_option(parser, "of a plain folder; of a data set, the one to embed")
    parser.add_argument("--dataset", metavar="NAME", help="data set of the folder (default: found by its layout)")
    parser.add_argument(
        "--split", choices=("all", "train", "test"), default="all", help="images of a data set (default: all)"
    )
    add_model_options(parser)
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the features file, and print its path.

    Raises:
        UsageError: an option, the model or a picture is wrong; nothing is written.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.engine.display import Display
    from usvi_bench.engine.embed import EmbedRequest, embed_data

    display = Display()
    request = EmbedRequest(
        data=options.data,
        model=model_request(options, options.model),
        output=options.output,
        modality=options.modality,
        dataset=options.dataset,
        split=options.split,
    )
    content = embed_data(request, display)
    count, infrared = len(content.paths), int(content.modality.sum())
    display.print(f"{count - infrared} visible and {infrared} infrared features of {content.features.shape[1]} numbers")
    display.print(str(options.output))
