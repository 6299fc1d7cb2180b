"""Time left of a training, from the measured times of its steps and of the pauses between its epochs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import fmean

RECENT = 50
"""Number of steps whose mean time counts."""


class TimeLeft:
    """Time left of the stages that a run trains.

    Steps take the mean time of recent steps. A pause lasts until the first step of an epoch has ended: images are
    embedded and clustered in it, and the epoch before is scored and saved. It takes as long as the last one. A stage
    begins with the times of the stage before, until its own are measured.

    Args:
        steps: steps of all epochs that are left.
        epochs: number of these epochs.
        now: clock in seconds.
    """

    def __init__(self, steps: int, epochs: int, now: Callable[[], float] = time.perf_counter) -> None:
        self._steps, self._pauses, self._now = steps, epochs, now
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._pause = 0.0
        self._last = now()
        self._fresh, self._in_pause = True, True

    def begin_stage(self, steps: int = 0, epochs: int = 0) -> None:
        """Begin a stage, whose steps may take another time, after some steps and epochs of an earlier start."""
        self._steps, self._pauses = self._steps - steps, self._pauses - epochs
        self._fresh, self._in_pause, self._last = True, True, self._now()

    def step(self, is_last: bool) -> None:
        """Count a step that has just ended; a pause begins after the last one of an epoch."""
        now = self._now()
        passed, self._last = now - self._last, now
        self._steps -= 1
        if self._in_pause:
            self._pause = passed
            self._pauses -= 1
        else:
            if self._fresh:
                self._recent.clear()
                self._fresh = False
            self._recent.append(passed)
        self._in_pause = is_last

    def seconds(self) -> float | None:
        """Return the seconds that are left; None before the first ones are measured."""
        if not self._recent and (self._pause == 0 or self._steps > self._pauses):
            return None
        step = fmean(self._recent) if self._recent else 0.0
        left = (self._steps - self._pauses) * step + self._pauses * self._pause  # a pause has a step
        return max(0.0, left - min(self._now() - self._last, self._pause if self._in_pause else step))
