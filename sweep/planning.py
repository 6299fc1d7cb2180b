"""Planning of a grid's jobs from its rows and seeds. All rows are checked here, before any training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.plugins import absolute
from usvi_bench.core.sealed import write_sealed_json
from usvi_bench.core.settings import RENAMED, digest, flatten
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.open import DataSource
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.experiment import Experiment, Opener
from usvi_bench.engine.run import Run
from usvi_bench.sweep.grid import Row, Scalar
from usvi_bench.sweep.jobs import Job

FOLDER = "ablations"
"""Folder of all grids below the output folder."""


@dataclass(frozen=True)
class Grid:
    """Grid of one method under one protocol, with a job for each row and seed.

    Attributes:
        method: name of the method.
        protocol: name of the protocol.
        folder: folder of jobs, tables and figures.
        rows: rows in the order of the grid file.
        jobs: jobs by row name, then by seed; rows with equal settings have the same jobs.
        content: content of ``grid.json``.
    """

    method: str
    protocol: str
    folder: Path
    rows: list[Row]
    jobs: dict[str, dict[int, Job]]
    content: dict[str, Any]

    @property
    def every_job(self) -> list[Job]:
        """All jobs without repetition, ordered by seed, then by row."""
        seeds = sorted({seed for jobs in self.jobs.values() for seed in jobs})
        return list(dict.fromkeys(self.jobs[row.name][seed] for seed in seeds for row in self.rows))

    def write(self) -> None:
        """Write ``grid.json``, which maps each cell of the table to its run."""
        write_sealed_json(self.folder / "grid.json", self.content)


def plan_grid(
    base: Experiment,
    rows: Sequence[Row],
    seeds: int,
    threads: int,
    opener: Opener,
    *,
    name: str | None = None,
    reuse: bool = False,
    track: Sequence[str] = (),
) -> Grid:
    """Plan the rows of one method under one protocol.

    Args:
        base: experiment that every row changes; its seed is not used.
        rows: rows of the grid.
        seeds: number of seeds of each row, from 0.
        threads: CPU threads of a job.
        opener: opens a data source; use :func:`cached_opener`, because every row opens the same one.
        name: name of the grid; None for the method's own grid.
        reuse: whether to take results of equal runs made outside the grid.
        track: trackers that follow each run.

    Raises:
        UsageError: a row cannot run; the message names the row.
    """
    experiments = [replace(base, settings={**base.settings, **row.settings, "engine.threads": threads}) for row in rows]
    runs = [_prepared(row, experiment, opener) for row, experiment in zip(rows, experiments, strict=True)]
    grid = _name(base, runs[0], name)
    folder = base.output / FOLDER / grid
    found: dict[str, Job] = {}
    jobs: dict[str, dict[int, Job]] = {}
    for row, experiment, first in zip(rows, experiments, runs, strict=True):
        jobs[row.name] = {}
        for seed in range(seeds):
            run = replace(first, config=replace(first.config, seed=seed))
            ordinary = reuse and (run.folder / "record.json").exists()
            target = run.folder if ordinary else folder / "jobs" / run.folder.name
            anywhere = replace(
                experiment, seed=seed, output=base.output.absolute(), imports=absolute(experiment.imports)
            )
            job = Job(target, row, seed, anywhere, run.every_plan, grid, track)
            jobs[row.name][seed] = found.setdefault(run.folder.name, job)
    varied = list(dict.fromkeys(key for row in rows for key in row.settings))
    content = {
        "method": base.method,
        "protocol": base.protocol,
        "setting": base.setting,
        "settings": base.overrides["settings"],
        **({"schedule": base.schedule} if base.schedule else {}),
        "data": runs[0].data_sentence,
        "seeds": seeds,
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
    return Grid(base.method, base.protocol, folder, list(rows), jobs, content)


def cached_opener(opener: Opener = DataSource.open) -> Opener:
    """Return an opener that opens each data source once."""
    opened: dict[tuple[DataSource, bool], tuple[Dataset, str]] = {}

    def open_once(source: DataSource, *, check_counts: bool, **how: Any) -> tuple[Dataset, str]:
        key = source, check_counts
        if key not in opened:
            opened[key] = opener(source, check_counts=check_counts, **how)
        return opened[key]

    return open_once


def _prepared(row: Row, experiment: Experiment, opener: Opener) -> Run:
    try:
        return experiment.prepare(opener=opener)
    except UsageError as error:
        raise UsageError(f"row '{row.name}': {error}") from error


def _name(base: Experiment, run: Run, grid: str | None) -> str:
    """Name the grid's folder; independent of seeds and rows, so that further ones are added to the same folder."""
    content = [base.overrides["settings"], base.setting, run.dataset.fingerprint, run.start.identity]
    content += [base.schedule] if base.schedule else []
    content += [] if run.donors is None else [run.donors.fingerprint]
    parts = [base.method, base.protocol, *([grid] if grid else [])]
    return "-".join([*parts, digest(content)[:8]])


def _value(config: RunConfig, key: str) -> Scalar:
    """Return the value of a setting in a run, by its name on the command line."""
    if key.partition(".")[0] == "engine":
        raise UsageError(f"{key} does not change results: set it for the whole grid with --set, not in a row")
    present = {f"{group}.{old}": f"{group}.{new}" for (group, old), (new, _) in RENAMED.items()}
    name = {**present, "encoder.bn": "encoder.bn_groups"}.get(key, key)
    value = flatten(config.settings()).get(name)  # another encoder may lack the setting
    return ",".join(map(str, value)) if isinstance(value, list) else value
