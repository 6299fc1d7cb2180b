"""``python -m leaderboard``: rebuild the page from the records, or check that it is up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.files import StorageError, void, write_atomically
from engine.registry import UsageError
from leaderboard.build import FOLDER, build, load_records


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 where the page is stale, or 2 where a record or path is wrong."""
    parser = argparse.ArgumentParser(prog="python -m leaderboard", description=__doc__)
    parser.add_argument("--records", type=Path, default=FOLDER / "records", help="folder of records")
    parser.add_argument("--output", type=Path, default=FOLDER / "LEADERBOARD.md", help="page to write")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    options = parser.parse_args(arguments)
    try:
        if not options.records.is_dir():
            raise UsageError(f"--records {options.records}: no such folder")
        text = build(load_records(options.records))
        if not options.check:
            write_atomically(options.output, lambda file: void(file.write(text.encode())))
        elif not options.output.exists() or options.output.read_bytes() != text.encode():
            print(f"{options.output} does not agree with {options.records}: run python -m leaderboard", file=sys.stderr)
            return 1
    except (UsageError, StorageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
