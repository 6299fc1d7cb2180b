"""Runs shown in the site: committed records with their reports, and finished runs on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record
from usvi_bench.reports.run_files import read_regular_record
from usvi_bench.reports.runs import RECORD
from usvi_bench.reports.site.addresses import run_address, short_hash
from usvi_bench.reports.site.report_file import REPORT

RECORDS = "records"
"""Folder of the records in the folder of the leaderboard."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Page of a run, with its sources.

    Attributes:
        name: shown name, for example ``sysu_all/adca-seed0``; it determines the address.
        record: record of the run.
        committed: file name of the record in the leaderboard; None if it is not committed.
        folder: folder of the run, or None.
        report: folder of an existing report, or None.
        file: file of the record, which the results of its queries may be beside.
    """

    name: str
    record: Record
    committed: str | None
    folder: Path | None
    report: Path | None
    file: Path | None = None

    @property
    def address(self) -> str:
        """Address relative to the root of the site."""
        return run_address(self.name)

    @property
    def synthetic(self) -> bool:
        """Whether the people are synthetic, so that their pictures may be shown."""
        return self.record.result.dataset["synthetic"] is not None


def find_runs(
    records: Mapping[str, Record], runs: Path | None, reports: Path, say: Callable[[str], None] = lambda _: None
) -> list[RunPage]:
    """Find the runs of the leaderboard, then other finished runs, both sorted by name.

    A run folder belongs to a record with exactly the same result: settings, data, seed and all scores.

    Args:
        records: records of the leaderboard, by file name.
        runs: folder with finished runs at any depth, or None.
        reports: folder with committed reports of records; the folder of the records is beside it.
        say: function that receives a notice about each run that is skipped because its record is damaged.
    """
    folders = {} if runs is None else {_identity(r): (path, r) for path, r in _finished(runs, say)}
    found = []
    for file, record in sorted(records.items()):
        name = file.removesuffix(".json")
        folder = folders.pop(_identity(record), (None, record))[0]
        report = _report(folder and folder / "report", reports / name)
        found.append(RunPage(name, record, file, folder, report, reports.parent / RECORDS / file))
    taken = {run.address for run in found}
    for path, record in sorted(folders.values(), key=lambda pair: pair[0].as_posix()):
        place = path.relative_to(runs or path).as_posix()
        name = f"local/{place.replace('/', '-')}"
        if run_address(name) in taken:
            name += f"-{short_hash(place)}"
        taken.add(run_address(name))
        found.append(RunPage(name, record, None, path, _report(path / "report"), path / RECORD))
    return found


def _finished(runs: Path, say: Callable[[str], None]) -> list[tuple[Path, Record]]:
    """Find finished trainings, without those of ablations."""
    found = []
    for path in sorted(runs.rglob(RECORD)):
        try:
            record = read_regular_record(path)
        except UsageError as error:
            say(f"skipped: {error}")
            continue
        if record.result.external is None and not record.provenance.get("ablation"):
            found.append((path.parent, record))
    return found


def _report(*places: Path | None) -> Path | None:
    """Return the first folder that holds a report; None if there is none."""
    return next((at for at in places if at and (at / REPORT).exists() and not at.is_symlink()), None)


def _identity(record: Record) -> str:
    """Return the result as text, without the note about its queries, which older records lack."""
    return json.dumps({**asdict(record.result), "queries": None}, sort_keys=True)
