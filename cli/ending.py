"""Last lines of a run: its files, and commands that go on from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from usvi_bench.core.options import command
from usvi_bench.core.record import Record
from usvi_bench.core.settings import SHARED
from usvi_bench.engine.experiment import Experiment

OTHERS = ("cluster_contrast", "pgm")
"""Methods to compare a run with, the first one that is not its own."""


def ending(experiment: Experiment, record: Record, files: Sequence[Path]) -> Iterator[str]:
    """Yield the last lines of a run. The commands work as they stand, without a comment that a shell could refuse.

    Args:
        experiment: the run.
        record: its record.
        files: ``record.json``, and ``report.md`` if a report was drawn.
    """
    run = files[0].parent
    yield f"record: {files[0]}"
    for path in files[1:]:
        yield f"report: {path.with_suffix('.html')}"
    if not record.result.scores:
        yield f"weights: {run / 'checkpoints'}; to search with them: {_search(run)}"
        yield f"to score them on other images: {_evaluation(run)}"
    commands = dict(_next(experiment, record, files))
    yield f"next ({', '.join(commands)}):"
    yield from (f"  {command(*words)}" for words in commands.values())


def _next(experiment: Experiment, record: Record, files: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    """Yield commands and what they make."""
    run = files[0].parent
    if len(files) == 1:
        yield "the report of this run", ["report", str(run)]
    if record.result.scores:
        if experiment.setting == SHARED and len(list(run.parent.glob("*/record.json"))) == 1:
            yield "another method", _other(experiment).words()
        yield "a comparison of all runs", ["report", str(run.parent), "--output", "comparison"]
    runs = [] if experiment.output == Path("runs") else ["--runs", str(experiment.output)]
    yield "a site of all runs", ["site", *runs]


def _other(experiment: Experiment) -> Experiment:
    """Return the same run of another method, without settings of the method itself."""
    method = next(name for name in OTHERS if name != experiment.method)
    settings = {name: value for name, value in experiment.settings.items() if not name.startswith("method.")}
    return replace(experiment, method=method, settings=settings)


def _search(run: Path) -> str:
    gallery = ["--gallery", "DIR", "--gallery-modality", "visible"]
    return command("search", "IMAGE", "--modality", "infrared", *gallery, "--model", str(run), "--output", "FOUND")


def _evaluation(run: Path) -> str:
    return command("evaluate", "--weights", str(run), "--protocol", "P", "--data", "DIR")
