"""``python -m usvi_bench``: the command line, in the words of ``run.py``."""

import sys

if __name__ == "__main__":
    # Here, because processes that a run starts import this file again and need none of it.
    from usvi_bench.cli.main import main

    sys.exit(main())
