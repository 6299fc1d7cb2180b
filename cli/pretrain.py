"""``run.py pretrain``: make the starting weights of an encoder for synthetic people.

They are trained with identity labels on visible images of other synthetic people.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import Parser, add_import_option, program
from usvi_bench.core.paths import expanded
from usvi_bench.core.revision import is_installed


def parser() -> ArgumentParser:
    """Build the parser of the command ``pretrain``."""
    parser = Parser(
        prog=f"{program()} pretrain",
        description="Make the starting weights of an encoder for synthetic people. They are trained with identity "
        "labels on visible images of other synthetic people.",
    )
    add_import_option(parser)
    parser.add_argument("--encoder", metavar="NAME", help="name of the encoder (default: small)")
    parser.add_argument(
        "--width",
        type=int,
        help="channels of the encoder's first stage (default: 16); ignored by encoders without this setting",
    )
    parser.add_argument(
        "--layout",
        metavar="NAME",
        help="make the weights for people in this layout, which has its own: regdb (default: the weights for all "
        "other layouts)",
    )
    parser.add_argument(
        "--out",
        type=expanded,
        metavar="FILE",
        help="file to write (default: the file in components/encoder/pretrained)",
    )
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the weights, and beside them a note that describes how they were made.

    Raises:
        UsageError: a layout without weights of its own, or ``--out`` is missing and the default is a file of an
            installed package.
    """
    options = parser().parse_args(arguments)
    if options.out is None and is_installed():
        raise UsageError("--out is missing: the weights of an installed package are not replaced; give a file to write")
    from usvi_bench.core.plugins import import_plugins
    from usvi_bench.engine.pretrain import make_weights, recipe_of
    from usvi_bench.engine.start_weights import weights_file

    import_plugins(options.imports)
    given = {name: getattr(options, name) for name in ("encoder", "width") if getattr(options, name) is not None}
    recipe = recipe_of(options.layout, **given)
    output: Path = options.out or weights_file(recipe.encoder_config(), options.layout)
    note = make_weights(recipe, output)
    print(f"{output}: {output.stat().st_size / 2**20:.1f} MiB, sha256 {note['sha256']}")
