"""``python -m reports RUN``: draw a finished run's report again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.files import StorageError
from engine.registry import UsageError
from reports.ranking import open_image
from reports.report import write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 where the folder holds no finished run or the disk refuses."""
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--with-pictures", action="store_true", help="show pictures of people even if they are real")
    options = parser.parse_args(arguments)
    try:
        print(write_report(options.run, None, options.with_pictures))
    except (UsageError, StorageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
