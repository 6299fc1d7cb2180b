"""``run.py search``: the pictures of a gallery that are most similar to a query."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.cli.model_options import MODEL, add_modality_option, add_model_options, model_request
from usvi_bench.core.options import Parser, program
from usvi_bench.core.paths import expanded

PRINTED = 10
"""Number of queries whose lists are printed."""


def parser() -> ArgumentParser:
    """Build the parser of the command ``search``."""
    parser = Parser(prog=f"{program()} search", description="Search a gallery by pictures; see docs/search.md.")
    parser.add_argument("queries", nargs="+", type=expanded, metavar="QUERY", help="pictures, or folders of pictures")
    parser.add_argument(
        "--gallery", required=True, metavar="FEATURES.npz|FOLDER", help="features from 'embed', or pictures"
    )
    parser.add_argument("--model", type=expanded, required=True, metavar="RUN|FILE", help=MODEL)
    add_modality_option(parser, "of the queries", required=True)
    add_modality_option(
        parser, "pictures of the gallery to search (default: all); needed for a plain folder", "--gallery-modality"
    )
    parser.add_argument("--top", type=int, default=20, metavar="N", help="length of the lists (default: 20)")
    parser.add_argument("--threshold", type=float, metavar="T", help="mark pictures whose similarity is not above T")
    parser.add_argument(
        "--output", type=expanded, metavar="DIR", help="new folder for search.csv and the page index.html"
    )
    parser.add_argument(
        "--data",
        type=expanded,
        metavar="DIR",
        help="folder that the paths of a features file are relative to, for pictures",
    )
    parser.add_argument("--with-pictures", action="store_true", help="show pictures of real people too")
    add_model_options(parser)
    return parser


def main(arguments: Sequence[str]) -> None:
    """Print the lists of the first queries, and write all of them if a folder is given.

    Raises:
        UsageError: an option, the model, the gallery or a picture is wrong; nothing is written.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.core.table import to_text
    from usvi_bench.engine.display import Display
    from usvi_bench.engine.search import SearchRequest, search_pictures

    display = Display()
    request = SearchRequest(
        queries=options.queries,
        gallery=options.gallery,
        model=model_request(options, options.model),
        modality=options.modality,
        gallery_modality=options.gallery_modality,
        top=options.top,
        threshold=options.threshold,
        data=options.data,
        output=options.output,
        with_pictures=options.with_pictures,
    )
    result = search_pictures(request, display)
    display.print(to_text(result.table(PRINTED)))
    if (more := len(result.queries) - PRINTED) > 0:
        display.print(f"and {more} more queries{'' if request.output else '; --output DIR writes all lists'}")
    if request.output is not None:
        from usvi_bench.reports.search_page import write_search

        display.print(str(write_search(result, request.output, request.with_pictures)))
