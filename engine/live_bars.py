"""Bars on a terminal. The count and the time left are visible at every width; words are shortened first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID
from rich.table import Column, Table
from rich.text import Text

from usvi_bench.core.interrupts import deferred_interruption

LARGE = 1_000_000
"""Amount of work from which a percentage is shown instead of a count."""
LETTERS = 3
"""Letters that are left of each part of a loss's name on a narrow screen."""

Seconds = Callable[[], float | None]
"""Function that returns seconds, or None if they are not known."""


@dataclass(frozen=True)
class Words:
    """Words of a bar or line: a head, losses that are shortened to fit, and a tail."""

    head: str
    losses: Mapping[str, float] | None = None
    tail: str = ""

    def fitted(self, width: int) -> str:
        """Return the words in at most ``width`` characters: losses are shortened, then the last ones are left out.

        >>> words = Words("epoch 1/2", {"visible_contrast": 1.5, "cross": 0.25}, "9 s")
        >>> for width in (60, 40, 30, 20):
        ...     print(words.fitted(width))
        epoch 1/2  visible_contrast 1.500  cross 0.250  9 s
        epoch 1/2  vis_con 1.50  cro 0.25  9 s
        epoch 1/2  vis_con 1.50 …  9 s
        epoch 1/2 …  9 s
        """
        losses = self.losses or {}
        whole = self._joined([f"{name} {value:.3f}" for name, value in losses.items()])
        short = [f"{_short(name)} {value:.2f}" for name, value in losses.items()]
        cut = (self._joined(short[:count], cut=True) for count in range(len(short) - 1, -1, -1))
        for text in (whole, self._joined(short), *cut, bare := self._joined([])):
            if len(text) <= width:
                return text
        return f"{bare[: max(0, width - 1)]}…"[:width]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.fitted(options.max_width), no_wrap=True, overflow="crop")

    def _joined(self, losses: list[str], cut: bool = False) -> str:
        head = "  ".join([self.head, *losses]) + (" …" if cut else "")
        return f"{head}  {self.tail}" if self.tail else head


class LiveBars:
    """Live bars of a terminal, drawn while there are any.

    A bar moves back and forth until its work has begun. Without a terminal nothing is drawn.

    Args:
        console: console to draw on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: Progress | None = None

    @property
    def tasks(self) -> list[Task]:
        """Bars that are drawn, from top to bottom."""
        return [] if self._drawn is None else self._drawn.tasks

    def add(self, words: Words, total: int | None, done: int = 0, left: Seconds | None = None) -> int:
        """Draw a bar.

        Args:
            words: words beside the bar.
            total: amount of work; None if it is not known.
            done: amount that is done.
            left: returns the seconds that are left; None to compute them from the speed of the bar.

        Returns:
            Number of the bar.
        """
        with deferred_interruption():  # a frame that is cut in two is drawn again below the first one
            if self._drawn is None:
                self._drawn = self._new()
                self._drawn.start()
            return self._drawn.add_task("", start=done > 0, total=total, completed=done, words=words, left=left)

    def update(self, bar: int, done: int, total: int | None, words: Words | None = None) -> None:
        """Move a bar, and replace its words unless they are None."""
        if self._drawn is None or bar not in self._drawn.task_ids:
            return
        task = TaskID(bar)
        if done > 0:
            self._drawn.start_task(task)
        self._drawn.update(task, completed=done, total=total)
        if words is not None:
            self._drawn.update(task, words=words)

    def remove(self, bar: int) -> None:
        """Remove a bar; after the last one nothing is drawn."""
        if self._drawn is None or bar not in self._drawn.task_ids:
            return
        self._drawn.remove_task(TaskID(bar))
        if not self._drawn.task_ids:
            self.close()

    def close(self) -> None:
        """Remove all bars."""
        with deferred_interruption():
            drawn, self._drawn = self._drawn, None
            if drawn is not None:
                for task in drawn.task_ids:
                    drawn.remove_task(task)
                drawn.stop()

    def _new(self) -> Progress:
        bar = BarColumn(max(8, min(20, (self._console.width - 60) // 4)))
        columns = SpinnerColumn(), bar, _CountColumn(), _LeftColumn(), _WordsColumn()
        return _Rows(*columns, console=self._console)


class _Rows(Progress):
    """Rows of bars that leave room for the ``^C`` of a terminal, which would otherwise begin a line."""

    def __init__(self, *columns: ProgressColumn, console: Console) -> None:
        self._own = console  # Progress has none before it draws for the first time
        super().__init__(*columns, console=console, transient=True)

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        table = super().make_tasks_table(tasks)
        table.width = max(1, self._own.width - len("^C"))
        return table


class _CountColumn(ProgressColumn):
    """Column of the amount of work that is done, of the whole amount."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        if task.total >= LARGE:
            return Text(f"{task.completed / task.total:.0%}", justify="right")
        return Text(f"{int(task.completed)}/{int(task.total)}", justify="right")

    def get_table_column(self) -> Column:
        return Column(no_wrap=True, justify="right", min_width=9)  # so that the words seldom move


class _LeftColumn(ProgressColumn):
    """Column of the time that is left."""

    def render(self, task: Task) -> Text:
        left = task.fields["left"]
        return Text("" if task.total is None else f"{clock(task.time_remaining if left is None else left())} left")

    def get_table_column(self) -> Column:
        return Column(no_wrap=True, min_width=12)


class _WordsColumn(ProgressColumn):
    """Column of the words, which has the width that the other columns leave."""

    def render(self, task: Task) -> Words:
        words: Words = task.fields["words"]
        return words

    def get_table_column(self) -> Column:
        return Column(ratio=1, no_wrap=True)


def clock(seconds: float | None) -> str:
    """Format a time in hours, minutes and seconds; dashes if it is not known.

    >>> clock(3725.2), clock(None)
    ('1:02:05', '-:--:--')
    """
    if seconds is None:
        return "-:--:--"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _short(name: str) -> str:
    return "_".join(part[:LETTERS] for part in name.split("_"))
