"""Display of running grids: a live table on a terminal, else a line for every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from usvi_bench.core.formatting import MISSING, percent
from usvi_bench.core.record import read_record
from usvi_bench.sweep.estimate import work
from usvi_bench.sweep.jobs import Job, State
from usvi_bench.sweep.planning import Grid

COLOURS = {State.PENDING: "dim", State.RUNNING: "yellow", State.DONE: "green", State.FAILED: "red"}


class LiveView:
    """Live view of grids while they run; a context manager.

    Args:
        grids: grids to show.
        console: console to show them on.
    """

    def __init__(self, grids: Sequence[Grid], console: Console) -> None:
        self.grids, self.console = grids, console
        self.states = {job: job.state for grid in grids for job in grid.every_job}
        self.scores: dict[Job, float | None] = {}
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> LiveView:
        if self.live is not None:
            self.live.start()
        self.show()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.show()
        if self.live is not None:
            self.live.stop()

    def show(self) -> None:
        """Update the display."""
        for job, before in self.states.items():
            self.states[job] = state = job.state
            if state is not before and self.live is None:
                self.console.print(f"{state.value}: {_title(job)}", markup=False)
                if state is State.FAILED:
                    self.console.print(failure(job), markup=False)
        if self.live is not None:
            self.live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = [self._table(grid) for grid in self.grids]
        parts += [Text(failure(job), "red") for job, state in self.states.items() if state is State.FAILED]
        counts = Counter(self.states.values())
        parts.append(Text(", ".join(f"{counts[state]} {state.value}" for state in State)))
        return Group(*parts)

    def _table(self, grid: Grid) -> Table:
        table = Table(title=f"{grid.method} on {grid.protocol} (mAP, percent)", title_justify="left")
        table.add_column("row")
        for seed in grid.jobs[grid.rows[0].name]:
            table.add_column(f"seed {seed}", justify="right")
        for row in grid.rows:
            table.add_row(Text(row.name), *(self._cell(job) for job in grid.jobs[row.name].values()))
        return table

    def _cell(self, job: Job) -> Text:
        state = self.states[job]
        words = job.progress if state is State.RUNNING else state.value
        return Text(self._score(job) if state is State.DONE else words, COLOURS[state])

    def _score(self, job: Job) -> str:
        if job not in self.scores:
            self.scores[job] = read_record(job.folder / "record.json").means().get("mAP")
        score = self.scores[job]
        return MISSING if score is None else percent(score)


def failure(job: Job) -> str:
    """Describe the error of a job, with the path of its log."""
    return f"{_title(job)}: {job.error}" + (f"\n  log: {job.log}" if job.log else "")


def listing(grids: Sequence[Grid], slots: int, console: Console) -> None:
    """Print a dry run: every job, its trainings, and an estimate of the work."""
    jobs = [job for grid in grids for job in grid.every_job]
    todo = work(jobs)
    table = Table("job", "row", "seed", "state", "trainings (number of jobs that share one)")
    for job in jobs:
        stages = " + ".join(f"{plan.method} {plan.key[:6]}{_shared(todo.users[plan.key])}" for plan in job.plans)
        table.add_row(job.name, Text(job.row.name), str(job.seed), job.state.value, stages)
    console.print(table)
    left = sum(not job.done for job in jobs)
    console.print(
        f"{left} of {len(jobs)} jobs to run, with {todo.distinct} trainings ({todo.named} without sharing): "
        f"{todo.distinct - len(todo.missing)} finished, {len(todo.missing)} to run ({todo.steps} steps)",
        markup=False,
    )
    if len(todo.unknown) < len(todo.missing) or not todo.missing:
        minutes = todo.seconds / 60 / min(slots, max(left, 1))
        console.print(
            f"training time: about {minutes:.0f} min with {slots} at once, from finished trainings on the same images",
            markup=False,
        )
    if todo.unknown:
        console.print(
            f"training time: no estimate for {len(todo.unknown)} trainings: none on these images is finished yet below "
            f"{todo.unknown[0].folder.parent}",
            markup=False,
        )


def _shared(users: int) -> str:
    return f" ({users})" if users > 1 else ""


def _title(job: Job) -> str:
    return f"'{job.row.name}', seed {job.seed} ({job.grid})"
