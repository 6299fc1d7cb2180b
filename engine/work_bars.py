"""Bars of long work: reading, rendering, decoding, embedding, clustering, scoring, drawing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from usvi_bench.engine.live_bars import LiveBars, Words

LONG = 5.0
"""Seconds of work above which it gets a line where there is no terminal."""


class WorkBars:
    """Work bars: on a terminal, a bar with the time left while some work runs; elsewhere, a line when long work ends.

    Work whose amount is not known is called *idle* work: its bar moves back and forth while no other work is shown.

    Args:
        console: console to print lines on.
        bars: bars of the terminal; None without a terminal.
        silent: returns whether lines are left out, as during training, whose epochs have lines.
    """

    def __init__(self, console: Console, bars: LiveBars | None, silent: Callable[[], bool]) -> None:
        self._console, self._bars, self._silent = console, bars, silent
        self._started: dict[str, float] = {}
        self._shown: dict[str, int] = {}
        self._idle, self._idle_bar = "", -1

    def __call__(self, work: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` units of some work are done."""
        started = self._started.setdefault(work, time.perf_counter())
        if self._bars is not None:
            self._show(self._bars, work, done, total)
        if done < total:
            return
        del self._started[work]
        seconds = time.perf_counter() - started
        if self._bars is None and not self._silent() and seconds >= LONG:
            self._console.print(f"{work}: {seconds:.1f} s", markup=False)

    def set_idle(self, name: str) -> str:
        """Set the name of the idle work, or none if it is empty; return the former name."""
        former, self._idle = self._idle, name
        if self._bars is not None:
            self._hide_idle(self._bars)
            self._show_idle(self._bars)
        return former

    @contextmanager
    def idle(self, name: str) -> Iterator[None]:
        """Show idle work while the block runs."""
        former = self.set_idle(name)
        try:
            yield
        finally:
            self.set_idle(former)

    def close(self) -> None:
        """Remove all bars of the terminal, also those of work that an error or an interruption has ended."""
        self._started.clear()
        self._shown.clear()
        self._idle, self._idle_bar = "", -1
        if self._bars is not None:
            self._bars.close()

    def _show(self, bars: LiveBars, work: str, done: int, total: int) -> None:
        if done < total and work not in self._shown:
            self._shown[work] = bars.add(Words(work), total, done)
            self._hide_idle(bars)
        if work in self._shown:
            bars.update(self._shown[work], done, total)
        if done >= total and work in self._shown:
            bar = self._shown.pop(work)
            self._show_idle(bars)  # before the last bar is removed
            bars.remove(bar)

    def _show_idle(self, bars: LiveBars) -> None:
        if self._idle and not self._shown and self._idle_bar < 0:
            self._idle_bar = bars.add(Words(self._idle), None)

    def _hide_idle(self, bars: LiveBars) -> None:
        bar, self._idle_bar = self._idle_bar, -1
        if bar >= 0:
            bars.remove(bar)
