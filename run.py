"""Train and score one method: ``python run.py --method sclhm --protocol sysu_all``."""

import sys

from engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
