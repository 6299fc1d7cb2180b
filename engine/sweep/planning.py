"""From a grid's rows and seeds to its jobs. Every mistake in a row is found here, before any work is done."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from datasets.base import Dataset
from engine.cli import Opener, parser, prepare
from engine.config import SECTIONS, RunConfig, digest
from engine.files import write_json
from engine.progress import Progress
from engine.registry import UsageError
from engine.run import Run
from engine.sweep.grid import Row, Scalar, read_rows
from engine.sweep.jobs import Job

FOLDER = "ablations"
"""Below the output folder."""


@dataclass(frozen=True)
class Grid:
    """The rows of one method under one protocol, and a job for each row and seed.

    Attributes:
        folder: jobs, tables and figures go here.
        jobs: by row, then by seed; rows with equal settings have the same jobs.
    """

    method: str
    protocol: str
    folder: Path
    rows: list[Row]
    jobs: dict[str, dict[int, Job]]
    content: dict[str, Any]

    @property
    def every_job(self) -> list[Job]:
        """Each job once, seed after seed, so that seeds fill up evenly and early rows come first."""
        seeds = sorted({seed for jobs in self.jobs.values() for seed in jobs})
        return list(dict.fromkeys(self.jobs[row.name][seed] for seed in seeds for row in self.rows))

    def write(self) -> None:
        """``grid.json``: which run belongs to which cell of the table."""
        write_json(self.folder / "grid.json", self.content)


def plan_grid(options: Namespace, method: str, protocol: str, threads: int, opener: Opener) -> Grid:
    """Plan the rows of one method under one protocol.

    Args:
        options: of the ablation command.
        method: whose rows to run.
        protocol: how to score them.
        threads: CPU threads of a job.
        opener: opens a data set; worth remembering, for every row asks for the same one.

    Raises:
        UsageError: a row cannot run; names the row.
    """
    rows = read_rows(method, options.grid)
    arguments = [_arguments(options, method, protocol, row, threads) for row in rows]
    runs = [_prepared(row, words, opener) for row, words in zip(rows, arguments, strict=True)]
    name = _name(options, runs[0])
    folder = Path(options.output) / FOLDER / name
    found: dict[str, Job] = {}
    jobs: dict[str, dict[int, Job]] = {}
    for row, words, first in zip(rows, arguments, runs, strict=True):
        jobs[row.name] = {}
        for seed in range(options.seeds):
            run = replace(first, config=replace(first.config, seed=seed))
            ordinary = options.reuse and (run.folder / "record.json").exists()
            place = run.folder if ordinary else folder / "jobs" / run.folder.name
            job = Job(place, row, seed, [*words, "--seed", str(seed)], run.every_plan, name)
            jobs[row.name][seed] = found.setdefault(run.folder.name, job)
    varied = list(dict.fromkeys(key for row in rows for key in row.settings))
    content = {
        "method": method,
        "protocol": protocol,
        "setting": options.setting,
        "settings": options.set,
        "data": runs[0].data_sentence,
        "seeds": options.seeds,
        "rows": [
            {
                "name": row.name,
                "settings": dict(row.settings),
                "values": {key: _value(run.config, key) for key in varied},
                "runs": {str(seed): os.path.relpath(job.folder, folder) for seed, job in jobs[row.name].items()},
            }
            for row, run in zip(rows, runs, strict=True)
        ],
    }
    return Grid(method, protocol, folder, rows, jobs, content)


def remember(opener: Opener) -> Opener:
    """An opener that opens each data set once."""
    opened: dict[tuple[str, str, bool], tuple[Dataset, str]] = {}

    def open_once(kind: str, spec: str, **how: Any) -> tuple[Dataset, str]:
        key = kind, spec, how["check_counts"]
        if key not in opened:
            opened[key] = opener(kind, spec, **how)
        return opened[key]

    return open_once


def _arguments(options: Namespace, method: str, protocol: str, row: Row, threads: int) -> list[str]:
    """What ``run.py`` is told; settings of the row win over those of the command."""
    words = ["--method", method, "--protocol", protocol, "--data", options.data, "--setting", options.setting]
    words += ["--device", options.device, "--output", str(Path(options.output).absolute()), "--resume", "--no-report"]
    if options.weights is not None:
        words += ["--weights", options.weights]
    return [*words, "--set", *options.set, *row.words, f"engine.threads={threads}"]


def _prepared(row: Row, arguments: Sequence[str], opener: Opener) -> Run:
    try:
        return prepare(parser().parse_args(arguments), Progress(console=Console(quiet=True)), opener)
    except UsageError as error:
        raise UsageError(f"row '{row.name}': {error}") from error


def _name(options: Namespace, run: Run) -> str:
    """Of the grid's folder: equal for more seeds and for other rows in the same file, so that these add to it."""
    content = [options.set, options.setting, run.dataset.fingerprint, run.start.identity]
    parts = [run.config.method, run.config.protocol, *([options.grid.stem] if options.grid else [])]
    return "-".join([*parts, digest(content)[:8]])


def _value(config: RunConfig, key: str) -> Scalar:
    """The value of a setting in a run, by its name on the command line."""
    value: Any = config.resolved()
    section, *rest = key.split(".")
    if section == "engine":
        raise UsageError(f"{key} changes no result: give it to the whole grid with --set, not to a row")
    if key == "encoder.bn":
        rest = ["bn_groups"]
    for part in (SECTIONS.get(section, section), *rest):
        value = value[part]
    return ",".join(map(str, value)) if isinstance(value, list) else value
