"""Tracking of a run: the entries of its journals, sent to trackers with one number of steps for the whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.settings import flatten
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.run import Run
from usvi_bench.engine.trackers import FOLDER, TRACKERS, Tracker


class Tracking:
    """Tracking of one run.

    The journals are the source: each start of a run first sends the entries of finished stages and epochs. A step is
    the number of iterations of the run until then, over all folds and stages, so steps rise in every start.

    A tracker that fails is dropped with a message; the training continues.

    Args:
        run: the run.
        names: names of trackers; checked by :func:`~usvi_bench.engine.trackers.check_trackers`.
    """

    def __init__(self, run: Run, names: Sequence[str]) -> None:
        self._print, self._folds = run.display.print, len(run.plans)
        self._first = _first_steps(run.every_plan, run.config.train.iterations)
        self._last = sum(plan.epochs for plan in run.every_plan) * run.config.train.iterations
        self._trackers: dict[str, Tracker] = {}
        config = {"method_name": run.config.method, "protocol_name": run.config.protocol, "seed": run.config.seed}
        config |= {"data_name": run.data_sentence, "setting": run.config.setting}
        settings = {**config, **flatten(run.config.settings())}
        name = f"{run.config.protocol}-{run.folder.name}"
        for each in dict.fromkeys(names):
            self._guard(each, lambda each=each: self._open(each, run, name, settings))  # type: ignore[misc]

    def _open(self, each: str, run: Run, name: str, settings: Mapping[str, Any]) -> None:
        self._trackers[each] = TRACKERS[each](run.output / FOLDER, name, settings)
        self._print(f"tracking with {each}: {run.output / FOLDER}")

    def entries(self, plan: StagePlan, entries: Sequence[Mapping[str, Any]]) -> None:
        """Send entries of a stage's journal, in their order."""
        prefix = f"fold{plan.fold}/" if self._folds > 1 else ""
        for step, values in _by_step(entries, self._first[plan.key]):
            self._log(step, {f"{prefix}{name}": value for name, value in values.items()})

    def finish(self, record: Record | None) -> None:
        """Send the final scores of a finished run, and close all trackers."""
        if record is not None:
            means = record.means()
            self._log(self._last + 1, {f"final/{name}": means[name] for name in METRICS})
        for name, tracker in list(self._trackers.items()):
            self._guard(name, tracker.close)

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        for name, tracker in list(self._trackers.items()):
            if step >= tracker.first_step:
                self._guard(name, lambda tracker=tracker: tracker.log(step, values))  # type: ignore[misc]

    def _guard(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # of a library: a tracker must not end a training
            self._trackers.pop(name, None)
            line = " ".join(str(error).split())
            self._print(f"tracking with {name} ended ({type(error).__name__}: {line:.200}); the run continues without")


def _first_steps(plans: Sequence[StagePlan], steps: int) -> dict[str, int]:
    """Return the number of steps before each stage, by its key."""
    before, found = 0, {}
    for plan in plans:
        found[plan.key] = before
        before += plan.epochs * steps
    return found


def _by_step(entries: Sequence[Mapping[str, Any]], first: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the values of each epoch, with those of its scores, at the number of steps that were taken by then."""
    step, values = None, {}
    for entry in entries:
        if entry["kind"] == "epoch":
            if step is not None:
                yield step, values
            step, values = first + int(entry["iteration"]), _epoch(entry)
        elif entry["kind"] == "scores":
            values |= {f"scores/{entry['model']}/{name}": entry["metrics"][name] for name in METRICS}
    if step is not None:
        yield step, values


def _epoch(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of an epoch by name; quality that was not measured is left out."""
    groups = ("losses", "clusters", "outliers", "quality", "diagnostics", "seconds")
    found = flatten({group: entry[group] for group in groups})
    values = {name.replace(".", "/"): float(value) for name, value in found.items() if value is not None}
    return {**values, "lr": float(entry["lr"]), "memory_mib": float(entry["peak_memory_mib"])}
