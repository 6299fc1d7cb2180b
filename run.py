"""Train and score one method: ``python run.py --method sclhm --protocol sysu_all``."""

import sys

if __name__ == "__main__":
    # Here, because processes that a run starts import this file again and need none of it.
    from usvi_bench.cli.main import main

    sys.exit(main())
