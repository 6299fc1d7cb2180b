"""Training with a display and made-up losses, drawn on a terminal at several widths: ``python -m ... WIDTH...``."""

from __future__ import annotations

import fcntl
import struct
import sys
import termios
import time
from pathlib import Path

import torch

from usvi_bench.core.types import PseudoLabels
from usvi_bench.engine.display import Display
from usvi_bench.engine.plan import StagePlan
from usvi_bench.methods.base import MethodConfig

LABELS = PseudoLabels(visible=torch.arange(1234), infrared=torch.arange(987))
LOSSES = ("visible_contrast", "infrared_contrast", "cross_contrast", "hybrid_visible", "hybrid_infrared", "consistency")
STEPS, MARK = 1500, "=== end of width"


class SixLosses:
    """Stand-in for an optimiser, with the means of six losses."""

    def means(self) -> dict[str, float]:
        return dict.fromkeys(LOSSES, 12.345)


def draw() -> None:
    display, pause = Display(), 0.15  # so that each moment is drawn
    plans = [StagePlan("k", Path(f"no-{i}"), "pgm", MethodConfig(), i, 60, 1, 0, {}) for i in range(2)]
    display.begin_run("pgm", plans, STEPS)
    display.begin_stage(plans[0], STEPS, done=58)
    display.work("embedding visible images", 10_000, 22_258)
    time.sleep(pause)
    display.work("embedding visible images", 22_258, 22_258)
    for step in range(3):
        display.step(plans[0], 58, step, SixLosses(), LABELS)  # type: ignore[arg-type]
        time.sleep(pause)
    counts = {"visible": 22_258, "infrared": 11_909}
    entry = {"epoch": 58, "epochs": 60, "losses": SixLosses().means(), "images": counts, "outliers": counts}
    display.end_epoch({**entry, "clusters": {"visible": 1234, "infrared": 987}, "seconds": {"train": 123.4}})
    display.end_stage()
    display.work.close()


if __name__ == "__main__":
    for width in map(int, sys.argv[1:]):
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        draw()
        print(MARK, flush=True)
