"""Train and score one method: ``python run.py --method sclhm --protocol sysu_all``."""

import sys

from engine.cli import main
from engine.memory import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
