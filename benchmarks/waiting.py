"""Time of an encoder's step if waiting threads sleep, compared with OpenMP's default, alone and beside a busy process.

``python -m benchmarks.waiting``. At the end of a parallel loop, threads wait for the slowest of them. By default, GNU
OpenMP, which torch uses on Linux, keeps their cores busy for some milliseconds. A thread that has to share its core
then gets less of it, and all others wait for it. With ``OMP_WAIT_POLICY=passive`` in the environment, waiting threads
sleep. OpenMP reads the variable once, so each side is a new process. Both sides run in turn, with all cores; the busy
process keeps one core busy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from usvi_bench.benchmarks.ceilings import encoder_seconds
from usvi_bench.benchmarks.measure import machine
from usvi_bench.core.files import write_json
from usvi_bench.core.registry import ENCODERS
from usvi_bench.core.revision import ROOT

VARIABLE = "OMP_WAIT_POLICY"
SIDES = {"passive": {VARIABLE: "passive"}, "default": {}}
"""Environment of each side."""


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one core busy by a loop in another process."""
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


def measure_step() -> None:
    """Print the median seconds of a step of the small encoder, with the images of the shared setting."""
    config = ENCODERS.get("small").Config(name="small")
    print(encoder_seconds(config, 128, 64, (32, 32), "fp32", torch.device("cpu")))


def seconds(side: str) -> float:
    """Measure a step in a new process that has the environment of one side."""
    environment = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "GOMP_SPINCOUNT")}
    program = "from usvi_bench.benchmarks.waiting import measure_step; measure_step()"
    command, environment = [sys.executable, "-c", program], {**environment, **SIDES[side]}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def compare(rounds: int) -> list[dict[str, Any]]:
    """Measure both sides in turn, alone and beside a busy process; return the seconds of each round and their ratio."""
    rows: list[dict[str, Any]] = []
    for beside in (False, True):
        taken: dict[str, list[float]] = {side: [] for side in SIDES}
        with busy_process() if beside else nullcontext():
            for _ in range(rounds):
                for side, values in taken.items():
                    values.append(seconds(side))
        median = {side: statistics.median(values) for side, values in taken.items()}
        ratio = statistics.median(b / a for a, b in zip(taken["passive"], taken["default"], strict=True))
        rows.append({"busy_process": beside, "seconds": taken, "median": median, "ratio": ratio})
        name = "beside a busy process" if beside else "alone"
        medians = ", ".join(f"{side} {value:.3f} s" for side, value in median.items())
        print(f"{name}: {medians}, default / passive {ratio:.2f}", flush=True)
    return rows


def main() -> None:
    """Measure and print; ``--json`` stores the results."""
    parser = argparse.ArgumentParser(description="Wait of OpenMP's threads: passive, compared with the default.")
    parser.add_argument("--rounds", type=int, default=5, help="number of runs of each side")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    rows = compare(options.rounds)
    if options.json:
        write_json(options.json, {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
