"""``python -m usvi_bench``: the command line, with the same options as ``run.py``."""

import sys

if __name__ == "__main__":
    # imported here because the worker processes of a run import this file again and do not need it
    from usvi_bench.cli.main import main

    sys.exit(main())
