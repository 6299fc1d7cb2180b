"""Display of a run: a live bar on a terminal, plain lines in a notebook, a file or a pipe."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.types import OUTLIER, PseudoLabels
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.plan import StagePlan


def make_console(quiet: bool = False) -> Console:
    """Make a console for standard output; in a notebook it prints plain text, without terminal control codes."""
    plain = {"force_terminal": False, "force_jupyter": False} if quiet or "ipykernel" in sys.modules else {}
    return Console(highlight=False, soft_wrap=True, quiet=quiet, **plain)  # type: ignore[arg-type]


class Display:
    """Display of one run.

    Args:
        quiet: print nothing.

    Attributes:
        log_every: steps between two updates of the bar's losses (reading a loss waits for the device).
    """

    log_every = 10

    def __init__(self, quiet: bool = False) -> None:
        self.console = make_console(quiet)
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False)

    def begin_stage(self, plan: StagePlan, steps: int, done: int = 0) -> None:
        """Announce a stage of ``steps`` steps an epoch; ``done`` epochs are already behind it."""
        self.say(f"training stage '{plan.method}' of fold {plan.fold}: {plan.epochs} epochs of {steps} steps")
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("clustering", total=plan.epochs * steps, completed=done * steps)
            self._bar.start()

    def step(self, plan: StagePlan, epoch: int, step: int, optimiser: Optimiser, labels: PseudoLabels) -> None:
        """Advance the bar by one step."""
        if self._bar is None or self._task is None:
            return
        if step % self.log_every == 0:
            losses = " ".join(f"{name} {value:.2f}" for name, value in optimiser.means().items())
            parts = (labels.visible, labels.infrared)
            clusters = "+".join(str(int(part.max()) + 1) for part in parts)
            outliers = sum(int((part == OUTLIER).sum()) for part in parts)
            text = f"epoch {epoch + 1}/{plan.epochs}  {losses}  {clusters} clusters  {outliers} outliers"
            self._bar.update(self._task, description=text)
        self._bar.advance(self._task)

    def end_epoch(self, entry: dict[str, Any]) -> None:
        """One line about the epoch that ended."""
        losses = "  ".join(f"{name} {value:.3f}" for name, value in entry["losses"].items())
        clusters, images, outliers = entry["clusters"], entry["images"], entry["outliers"]
        lost = sum(outliers.values()) / sum(images.values())
        self.say(
            f"  epoch {entry['epoch'] + 1:>3}/{entry['epochs']}  {losses}  clusters {clusters['visible']}+"
            f"{clusters['infrared']}  outliers {lost:.0%}  {sum(entry['seconds'].values()):.1f} s"
        )

    def end_stage(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task = None, None

    def table(self, title: str, rows: dict[str, dict[str, float]]) -> None:
        """Print metrics (fractions) as a table in percent, one row a model."""
        table = Table(title=title, title_justify="left")
        table.add_column("")
        for name in METRICS:
            table.add_column(name, justify="right")
        for name, metrics in rows.items():
            table.add_row(name, *(f"{100 * metrics[metric]:.2f}" for metric in METRICS))
        self.console.print(table)
