"""Command line of the generator.

``python -m usvi_bench.synthetic preview OUT.png [--layout sysu] [--data synthetic:size=small]`` draws a contact sheet.
``python -m usvi_bench.synthetic digests`` renders the people without a committed digest and writes ``digests.json``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.synthetic.digests import write_digests
from usvi_bench.synthetic.preview import draw
from usvi_bench.synthetic.spec import GENERATOR_VERSIONS, parse


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m usvi_bench.synthetic")
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("digests", help="write the missing digests of the present versions of the layouts")
    preview = commands.add_parser("preview", help="draw a contact sheet")
    preview.add_argument("output", type=Path, help="PNG file to write")
    preview.add_argument("--layout", choices=tuple(GENERATOR_VERSIONS), default="sysu")
    preview.add_argument("--data", default="synthetic", help="synthetic[:key=value,...]")
    preview.add_argument("--identities", type=int, default=10)
    preview.add_argument("--per-camera", type=int, default=3)
    given = parser.parse_args(arguments)
    if given.command == "digests":
        write_digests(print)
        return 0
    try:
        draw(given.output, given.layout, parse(given.data), given.identities, given.per_camera)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
