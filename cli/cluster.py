"""``run.py cluster``: clusters of the pictures of a features file."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from usvi_bench.cli.model_options import add_modality_option, add_set_option
from usvi_bench.core.options import Parser, program
from usvi_bench.core.paths import expanded


def parser() -> ArgumentParser:
    """Build the parser of the command ``cluster``."""
    parser = Parser(prog=f"{program()} cluster", description="Cluster pictures by their features; see docs/search.md.")
    parser.add_argument("features", type=expanded, metavar="FEATURES.npz", help="features from 'embed'")
    parser.add_argument(
        "--output", type=expanded, required=True, metavar="DIR|FILE.csv", help="new folder of clusters, or a table"
    )
    group = parser.add_mutually_exclusive_group()
    add_modality_option(group, "pictures to cluster (default: each modality on its own)")
    group.add_argument("--joint", action="store_true", help="cluster both modalities together")
    add_set_option(
        parser, "method.eps (0.6), method.k1 (30), method.k2 (6), method.min_samples (4), method.search (auto)"
    )
    parser.add_argument(
        "--data", type=expanded, metavar="DIR", help="folder that the paths of the features are relative to"
    )
    parser.add_argument(
        "--with-pictures", action="store_true", help="copy the pictures into the folders (default: links)"
    )
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the table or the folders, and print the number of clusters.

    Raises:
        UsageError: an option or the features are wrong, or a picture is missing; nothing is written.
    """
    options = parser().parse_args(arguments)
    from usvi_bench.engine.cluster import ClusterRequest, cluster_features
    from usvi_bench.engine.display import Display
    from usvi_bench.engine.load_config import parse_settings

    request = ClusterRequest(
        features=options.features,
        output=options.output,
        modality=options.modality,
        joint=options.joint,
        settings=parse_settings(options.settings),
        data=options.data,
        with_pictures=options.with_pictures,
    )
    display = Display()
    display.print(cluster_features(request).sentence)
    display.print(str(options.output))
