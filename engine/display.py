"""Display of a run: a live bar on a terminal, plain lines in a notebook, a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table

from usvi_bench.core.errors import printable
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.types import OUTLIER, PseudoLabels
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.work_bars import WorkBars

SPEED_SECONDS = 600
"""Time over which the speed is averaged for the remaining time; it covers clustering and scoring."""


def make_console(quiet: bool = False) -> Console:
    """Make a console for standard output; in a notebook it prints plain text, without terminal control codes."""
    plain = {"force_terminal": False, "force_jupyter": False} if quiet or "ipykernel" in sys.modules else {}
    return Console(highlight=False, soft_wrap=True, quiet=quiet, **plain)  # type: ignore[arg-type]


class Display:
    """Display of one run.

    Args:
        quiet: print nothing.

    Attributes:
        work: receiver of the progress of long work, see :mod:`usvi_bench.core.progress`.
        log_every: steps between two updates of the bar's losses (reading a loss waits for the device).
    """

    log_every = 10

    def __init__(self, quiet: bool = False) -> None:
        self.console = make_console(quiet)
        self._method, self._stages = "", 1
        self._steps, self._done = 0, 0  # of all stages that are not finished
        self._counts = ""  # of the clusters and outliers of the epoch
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self.work = WorkBars(self.console, lambda: self._bar)

    def print(self, text: str) -> None:
        """Print a line; control characters in it, such as those of a path, are escaped."""
        self.console.print(printable(text), markup=False)

    def begin_run(self, method: str, plans: Sequence[StagePlan], steps: int, overwrite: bool = False) -> None:
        """Set the stages that a run trains, for the position of each stage and the time that remains.

        Args:
            method: name of the method of the run.
            plans: stages of all folds.
            steps: number of steps in an epoch.
            overwrite: finished stages are trained again.
        """
        self._method, self._stages = method, 1 + max((plan.position for plan in plans), default=0)
        self._steps = steps * sum(plan.epochs for plan in plans if overwrite or not plan.finished)
        self._done = 0

    def begin_stage(self, plan: StagePlan, steps: int, done: int = 0) -> None:
        """Announce a stage, and show its progress.

        Args:
            plan: the stage.
            steps: number of steps in an epoch.
            done: number of epochs that were trained by an earlier start.
        """
        stage = f"stage {plan.position + 1} of {self._stages} of {self._method}" if self._stages > 1 else "training"
        length = f"{_count(plan.epochs, 'epoch')} of {_count(steps, 'step')}"
        self.print(f"{stage}: {plan.method}, fold {plan.fold}, {length}")
        self._done += done * steps
        if self.console.is_terminal:
            text = TextColumn(
                "{task.description}", table_column=Column(ratio=1, no_wrap=True)
            )  # cut on a narrow screen
            columns = SpinnerColumn(), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(), text
            self._bar = Bar(
                *columns, console=self.console, transient=True, expand=True, speed_estimate_period=SPEED_SECONDS
            )
            total = plan.epochs * steps
            self._task = self._bar.add_task(f"epoch {done + 1}/{plan.epochs}  clustering", total=total)
            self._bar.update(self._task, completed=done * steps)
            if self._steps > total:
                self._bar.add_task("all stages", total=self._steps, completed=self._done)
            self._bar.start()

    def step(self, plan: StagePlan, epoch: int, step: int, optimiser: Optimiser, labels: PseudoLabels) -> None:
        """Advance the bars by one step."""
        self._done += 1
        if self._bar is None or self._task is None:
            return
        if step % self.log_every == 0:
            losses = " ".join(f"{name} {value:.2f}" for name, value in optimiser.means().items())
            if step == 0:
                self._counts = _counts(labels)
            text = f"epoch {epoch + 1}/{plan.epochs}  {losses}  {self._counts}"
            self._bar.update(self._task, description=text)
        for task in self._bar.task_ids:
            self._bar.advance(task)

    def end_epoch(self, entry: dict[str, Any]) -> None:
        """Print a line about the epoch that ended."""
        losses = "  ".join(f"{name} {value:.3f}" for name, value in entry["losses"].items())
        clusters, images, outliers = entry["clusters"], entry["images"], entry["outliers"]
        lost = sum(outliers.values()) / sum(images.values())
        self.print(
            f"  epoch {entry['epoch'] + 1:>3}/{entry['epochs']}  {losses}  clusters {clusters['visible']}+"
            f"{clusters['infrared']}  outliers {lost:.0%}  {sum(entry['seconds'].values()):.1f} s"
        )
        if self._bar is not None and self._task is not None and entry["epoch"] + 1 < entry["epochs"]:
            text = f"epoch {entry['epoch'] + 2}/{entry['epochs']}  clustering"
            self._bar.update(self._task, description=text)

    def end_stage(self) -> None:
        """Remove the bars."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task = None, None

    def result(self, record: Record) -> None:
        """Print the scores of a finished run, with those of chance, and explain the rows."""
        result, trained = record.result, record.provenance["global_batch"] is not None
        if result.external is not None:
            title = (
                f"{result.external.claims or result.start_weights['source']} on {result.protocol} (percent, external)"
            )
            self.table(escape(title), {"model": record.means(), "chance": result.chance})
            return
        if not result.scores:
            self.print(f"{result.method}, seed {result.seed}: trained without scores")
            return
        names = {model: model if trained else "starting weights" for model in record.models}
        names[result.headline["model"]] += " *"
        rows = {name: record.means(model=model) for model, name in names.items()}
        what = "percent, last epoch" if trained else "percent, nothing trained"
        title = f"{result.method} on {result.protocol}, seed {result.seed} ({what})"
        self.table(title, {**rows, "chance": result.chance})
        both = {"student", "teacher"} <= set(names)
        kinds = "; student: the trained encoder; teacher: the moving average of its weights" if both else ""
        self.print(f"* headline, which tables show{kinds}")

    def table(self, title: str, rows: dict[str, dict[str, float]]) -> None:
        """Print metrics (fractions) as a table in percent, one row per name."""
        table = Table(title=title, title_justify="left")
        table.add_column("")
        for name in METRICS:
            table.add_column(name, justify="right")
        for name, metrics in rows.items():
            table.add_row(name, *(f"{100 * metrics[metric]:.2f}" for metric in METRICS))
        self.console.print(table)


def _counts(labels: PseudoLabels) -> str:
    parts = (labels.visible, labels.infrared)
    clusters = "+".join(str(int(part.max()) + 1) for part in parts)
    return f"{clusters} clusters  {sum(int((part == OUTLIER).sum()) for part in parts)} outliers"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
