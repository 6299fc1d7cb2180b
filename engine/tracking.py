"""Tracking of a run: the entries of its journals, sent to trackers with one number of steps for the whole run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.settings import flatten
from usvi_bench.engine.execute import execute
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.run import Run
from usvi_bench.engine.trackers import FOLDER, TRACKERS, Tracker


class Tracking:
    """Tracking of one run.

    The journals are the source: each start of a run first sends the entries of finished stages and epochs. A step is
    the number of iterations of the run until then, over all folds and stages, so steps rise in every start.

    Trackers are opened at the first entry, when the run holds the lock of its stage. A refused second start of a run
    therefore does not touch the files of the first one. A tracker that fails is dropped with a message, and the
    training continues.

    Args:
        run: the run.
        names: names of trackers; checked by :func:`~usvi_bench.engine.trackers.check_trackers`.
    """

    def __init__(self, run: Run, names: Sequence[str]) -> None:
        self._print, self._folds = run.display.print, len(run.plans)
        self._steps = run.config.train.iterations
        self._first = _first_steps(run.every_plan, self._steps)
        self._last = sum(plan.epochs for plan in run.every_plan) * self._steps
        self._trackers: dict[str, Tracker] = {}
        self._run, self._names = run, list(dict.fromkeys(names))

    def entries(self, plan: StagePlan, entries: Sequence[Mapping[str, Any]]) -> None:
        """Send entries of a stage's journal, in their order."""
        prefix = f"fold{plan.fold}/" if self._folds > 1 else ""
        for entry in entries:
            step = self._first[plan.key] + (int(entry["epoch"]) + 1) * self._steps
            values = _epoch(entry) if entry["kind"] == "epoch" else _scores(entry)
            self._log(step, {f"{prefix}{name}": value for name, value in values.items()})

    def finish(self, record: Record | None) -> None:
        """Send the final scores of a finished run, and close all trackers."""
        if record is not None:
            means = record.means()
            self._log(self._last + 1, {f"final/{name}": means[name] for name in METRICS if name in means})
        for name, tracker in list(self._trackers.items()):
            with self._guard(name):
                tracker.close()

    def _open(self) -> None:
        """Open the trackers that are not open yet."""
        run, names, self._names = self._run, self._names, []
        folder, name = run.output / FOLDER, f"{run.config.protocol}-{run.folder.name}"
        for each in names:
            with self._guard(each):
                self._trackers[each] = TRACKERS[each](folder, name, _settings(run))
                self._print(f"tracking with {each}: {folder}")

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        self._open()
        for name, tracker in list(self._trackers.items()):
            with self._guard(name):
                if step >= tracker.first_step:
                    tracker.log(step, values)

    @contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        """Drop a tracker if the block fails."""
        try:
            yield
        except Exception as error:  # of a library: a tracker must not end a training
            self._trackers.pop(name, None)
            line = " ".join(str(error).split())
            self._print(f"tracking with {name} ended ({type(error).__name__}: {line:.200}); the run continues without")


def execute_tracked(run: Run, names: Sequence[str], overwrite: bool = False) -> Record | None:
    """Carry out a run as :func:`~usvi_bench.engine.execute.execute` does, followed by trackers."""
    tracking = Tracking(run, names)
    run.track = tracking.entries
    record = None
    try:
        record = execute(run, overwrite)
    finally:
        tracking.finish(record)
    return record


def _settings(run: Run) -> dict[str, Any]:
    """Return everything that describes the run, by dotted name."""
    config = run.config
    words = {"method_name": config.method, "protocol_name": config.protocol, "setting": config.setting}
    return {**words, "seed": config.seed, "data_name": run.data_sentence, **flatten(config.settings())}


def _first_steps(plans: Sequence[StagePlan], steps: int) -> dict[str, int]:
    """Return the number of steps before each stage, by its key."""
    before, found = 0, {}
    for plan in plans:
        found[plan.key] = before
        before += plan.epochs * steps
    return found


def _epoch(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of an epoch by name; quality that was not measured is left out."""
    groups = ("losses", "clusters", "outliers", "quality", "diagnostics", "seconds")
    found = flatten({group: entry[group] for group in groups})
    values = {name.replace(".", "/"): float(value) for name, value in found.items() if value is not None}
    return {**values, "lr": float(entry["lr"]), "memory_mib": float(entry["peak_memory_mib"])}


def _scores(entry: Mapping[str, Any]) -> dict[str, float]:
    return {f"scores/{entry['model']}/{name}": float(entry["metrics"][name]) for name in METRICS}
