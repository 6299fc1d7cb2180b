"""Display of a run: live bars on a terminal, plain lines in a notebook, a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from usvi_bench.core.errors import printable
from usvi_bench.core.formatting import counted
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.progress import show_progress
from usvi_bench.core.record import Record
from usvi_bench.core.types import PseudoLabels
from usvi_bench.engine.live_bars import LiveBars, Words
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.time_left import TimeLeft
from usvi_bench.engine.work_bars import WorkBars

LINE = 120
"""Longest line about an epoch where there is no terminal."""
START = "start"
"""Name of the row with the scores before training."""


def make_console(quiet: bool = False) -> Console:
    """Make a console for standard output; in a notebook it prints plain text, without terminal control codes."""
    plain = {"force_terminal": False, "force_jupyter": False} if quiet or "ipykernel" in sys.modules else {}
    return Console(highlight=False, soft_wrap=True, quiet=quiet, **plain)  # type: ignore[arg-type]


@contextmanager
def shown_on_terminal(name: str) -> Iterator[None]:
    """Show the progress of the block on a terminal, and nothing elsewhere; ``name`` names work without an amount."""
    work = Display(quiet=not sys.stdout.isatty()).work
    try:
        with show_progress(work), work.idle(name):
            yield
    finally:
        work.close()


class Display:
    """Display of one run.

    On a terminal, a bar shows the steps of all stages and the time that is left of the training. A second bar shows
    work that is no step.

    Args:
        quiet: print nothing.

    Attributes:
        work: receiver of the progress of long work, see :mod:`usvi_bench.core.progress`.
        log_every: steps between two updates of the bar's losses (reading a loss waits for the device).
        start: metrics of the encoder before training, for the table of the result; empty if they are not known.
    """

    log_every = 10

    def __init__(self, quiet: bool = False) -> None:
        self.console = make_console(quiet)
        self.start: dict[str, float] = {}
        animated = self.console.is_terminal and not self.console.is_dumb_terminal and not quiet
        self._bars = LiveBars(self.console) if animated else None
        self._method, self._stages, self._folds = "", 1, 1
        self._steps, self._done = 0, 0  # of all stages that are not finished
        self._in_epoch = 0  # number of steps in an epoch
        self._left = TimeLeft(0, 0)
        self._plan: StagePlan | None = None  # of the stage that is being trained
        self._bar = -1
        self._counts = ""  # of the clusters of the epoch
        self.work = WorkBars(self.console, self._bars, lambda: self._plan is not None)

    def print(self, text: str) -> None:
        """Print a line; control characters in it, such as those of a path, are escaped."""
        self.console.print(printable(text), markup=False)

    def begin_run(self, method: str, plans: Sequence[StagePlan], steps: int) -> None:
        """Set the stages that a run trains, for the position of each stage and the time that is left.

        Args:
            method: name of the method of the run.
            plans: stages of all folds.
            steps: number of steps in an epoch.
        """
        self._method, self._stages = method, 1 + max((plan.position for plan in plans), default=0)
        self._folds = len({plan.fold for plan in plans})
        epochs = sum(plan.epochs for plan in plans if not plan.finished)
        self._steps, self._done = steps * epochs, 0
        self._left = TimeLeft(self._steps, epochs)

    def begin_stage(self, plan: StagePlan, steps: int, done: int = 0) -> None:
        """Announce a stage, and show its progress.

        Args:
            plan: the stage.
            steps: number of steps in an epoch.
            done: number of epochs that were trained by an earlier start.
        """
        length = f"{counted(plan.epochs, 'epoch')} of {counted(steps, 'step')}"
        fold = f", fold {plan.fold}" if self._folds > 1 else ""
        self.print(f"{self._title(plan)}{fold}, {length}")
        self._plan, self._in_epoch = plan, steps
        self._done += done * steps
        self._left.begin_stage(done * steps, done)
        if self._bars is not None:
            self._bar = self._bars.add(Words(self._place(done)), self._steps, self._done, self._left.seconds)
        self.work.set_idle("clustering")

    def step(self, plan: StagePlan, epoch: int, step: int, optimiser: Optimiser, labels: PseudoLabels) -> None:
        """Advance the bar by one step."""
        self._done += 1
        is_last = step + 1 == self._in_epoch
        self._left.step(is_last)
        if self._bars is None:
            return
        if step == 0:
            self._counts = _counts(labels)
            self.work.set_idle("")
        words = None
        if step % self.log_every == 0:
            words = Words(f"{self._place(epoch)}  {self._counts}", optimiser.means())
        self._bars.update(self._bar, self._done, self._steps, words)
        if is_last:
            self.work.set_idle("saving the epoch")

    def end_epoch(self, entry: dict[str, Any]) -> None:
        """Print a line about the epoch that ended."""
        clusters, images, outliers = entry["clusters"], entry["images"], entry["outliers"]
        lost = sum(outliers.values()) / sum(images.values())
        seconds = sum(entry["seconds"].values())
        words = Words(
            f"  epoch {entry['epoch'] + 1:>3}/{entry['epochs']}",
            entry["losses"],
            f"clusters {clusters['visible']}+{clusters['infrared']}  outliers {lost:.0%}  {seconds:.1f} s",
        )
        self.print(words.fitted(LINE if self._bars is None else self.console.width))
        if self._bars is not None and entry["epoch"] + 1 < entry["epochs"]:
            self._bars.update(self._bar, self._done, self._steps, Words(self._place(entry["epoch"] + 1)))
            self.work.set_idle("clustering")

    def end_stage(self) -> None:
        """Remove the bar of the training."""
        self._plan = None
        self.work.set_idle("")
        if self._bars is not None:
            self._bars.remove(self._bar)

    def result(self, record: Record) -> None:
        """Print the scores of a finished run beside those of chance and of the start, and explain the rows."""
        result, trained = record.result, record.trained
        if result.external is not None:
            title = (
                f"{result.external.claims or result.start_weights['source']} on {result.protocol} (percent, external)"
            )
            self.table(escape(title), {"model": record.means(), "chance": result.chance})
            return
        if not result.scores:
            self.print(f"{result.method}, seed {result.seed}: trained without scores")
            return
        headline = result.headline["model"]
        names = {model: record.name_of(model) + (" *" if model == headline else "") for model in record.models}
        rows = {name: record.means(model=model) for model, name in names.items()}
        rows |= {START: self.start} if self.start else {}
        what = "percent, last epoch" if trained else "percent, nothing trained"
        title = f"{result.method} on {result.protocol}, seed {result.seed} ({what})"
        self.table(title, {**rows, "chance": result.chance})
        self.print("* headline of the leaderboard" + (f"; {START}: the encoder before training" if self.start else ""))
        if {"student", "teacher"} <= set(record.models):
            self.print("student: the trained encoder; teacher: the moving average of its weights")

    def table(self, title: str, rows: dict[str, dict[str, float]]) -> None:
        """Print metrics (fractions) as a table in percent, one row per name."""
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False)
        table.add_column("")
        for name in METRICS:
            table.add_column(name, justify="right")
        for name, metrics in rows.items():
            table.add_row(name, *(f"{100 * metrics[metric]:.2f}" for metric in METRICS))
        self.console.print(table)

    def _title(self, plan: StagePlan) -> str:
        """Return the method of the run, the position of a stage and its idea: the first words of its summary."""
        idea = plan.method_class.summary.partition(",")[0].partition(" (")[0]
        method = self._method or plan.method
        shared = f" (shared with {plan.method})" if plan.method != method else ""
        stage = f", stage {plan.position + 1} of {self._stages}" if self._stages > 1 else ""
        return f"{method}{stage}: {idea}{shared}"

    def _place(self, epoch: int) -> str:
        """Return the place of an epoch in the run, for the bar."""
        assert self._plan is not None
        fold = f"fold {self._plan.fold}  " if self._folds > 1 else ""
        stage = f"stage {self._plan.position + 1}/{self._stages}  " if self._stages > 1 else ""
        return f"{fold}{stage}epoch {epoch + 1}/{self._plan.epochs}"


def _counts(labels: PseudoLabels) -> str:
    return "+".join(str(int(part.max()) + 1) for part in (labels.visible, labels.infrared)) + " clusters"
