"""Bars of long work: rendering, decoding, embedding, clustering, scoring."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

LONG = 5.0
"""Seconds of work above which it gets a line where there is no terminal."""


class WorkBars:
    """Work bars: on a terminal, a bar with the time left while some work runs; elsewhere, a line when long work ends.

    Args:
        console: console to show them on.
        host: returns the bars of a stage that is being trained, to which the bar is added; None if there is none.
    """

    def __init__(self, console: Console, host: Callable[[], Progress | None]) -> None:
        self._console, self._host = console, host
        self._started: dict[str, float] = {}
        self._shown: dict[str, tuple[Progress, TaskID]] = {}

    def __call__(self, work: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` units of some work are done."""
        started = self._started.setdefault(work, time.perf_counter())
        if self._console.is_terminal and not self._console.quiet:
            self._advance(work, done, total)
        if done < total:
            return
        del self._started[work]
        seconds = time.perf_counter() - started
        if not self._console.is_terminal and self._host() is None and seconds >= LONG:
            self._console.print(f"{work}: {seconds:.1f} s", markup=False)

    def close(self) -> None:
        """Remove the bars of work that an error has ended."""
        self._started.clear()
        for work in list(self._shown):
            self._remove(work)

    def _advance(self, work: str, done: int, total: int) -> None:
        if work not in self._shown:
            if done >= total:
                return
            bars = self._host() or self._new()
            self._shown[work] = bars, bars.add_task(work, total=total)
        bars, task = self._shown[work]
        bars.update(task, completed=done, total=total)
        if done >= total:
            self._remove(work)

    def _new(self) -> Progress:
        own = next((bars for bars, _ in self._shown.values()), None)
        if own is not None:
            return own
        columns = (
            SpinnerColumn(),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        bars = Progress(*columns, console=self._console, transient=True)
        bars.start()
        return bars

    def _remove(self, work: str) -> None:
        bars, task = self._shown.pop(work)
        if task in bars.task_ids:
            bars.remove_task(task)
        if bars is not self._host() and not any(other is bars for other, _ in self._shown.values()):
            bars.stop()
