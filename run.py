"""Train and score one method: ``python run.py --method sclhm --protocol sysu_all``."""

import sys

if __name__ == "__main__":
    # Here, because processes that a run starts import this file again and need none of it.
    from engine.cli import main
    from engine.memory import keep_freed_memory

    keep_freed_memory()
    sys.exit(main())
