"""``run.py openset``: write the open-set report of a features file; the report of a run has it as a section."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.core.options import Parser, program
from usvi_bench.core.paths import expanded


def parser() -> ArgumentParser:
    """Build the parser of the command ``openset``."""
    parser = Parser(
        prog=f"{program()} openset",
        description="Write the open-set report of a features file with identities; see docs/reports.md.",
    )
    parser.add_argument("features", type=expanded, metavar="FILE", help="features file, .npz")
    parser.add_argument("--query", default="infrared", metavar="MODALITY", help="modality of the queries")
    parser.add_argument(
        "--rule",
        default="regdb",
        metavar="RULE",
        help="gallery images that a query ignores: regdb (none, the default), sysu, llcm",
    )
    parser.add_argument("--output", type=expanded, required=True, metavar="DIR", help="folder to write")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the report and print where it is.

    Raises:
        UsageError: an option or the file is wrong; nothing is written.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.core.paths import check_output
    from usvi_bench.reports.feature_open_set import report_features

    check_output(options.output)
    print(report_features(options.features, options.query, options.rule, options.output))
