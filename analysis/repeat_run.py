"""Repetition of one run in a process of its own: ``python -m analysis.repeat_run < EXPERIMENT.json``.

:mod:`usvi_bench.analysis.repeat_records` starts it. The experiment is read as data, so that no value of a record is an
option of a command.
"""

from __future__ import annotations

import json
import sys

from usvi_bench.api import run_experiment
from usvi_bench.core.process_memory import keep_freed_memory
from usvi_bench.engine.display import Display
from usvi_bench.engine.experiment import Experiment


def main() -> int:
    """Train and score the experiment of the standard input."""
    keep_freed_memory()
    experiment = Experiment.from_json(json.load(sys.stdin))
    run_experiment(experiment, resume=False, overwrite=False, report=False, display=Display(quiet=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
