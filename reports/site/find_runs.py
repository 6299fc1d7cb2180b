"""Runs shown in the site: committed records with their reports, and finished runs on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.sealed import DIGEST, read_sealed_json
from usvi_bench.reports.checksums import FILES, check_files

REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class RunPage:
    """Page of a run, with its sources.

    Attributes:
        name: address below ``runs/``, for example ``sysu_all/adca-seed0``.
        record: record of the run.
        committed: file name of the record in the leaderboard; None if it is not committed.
        folder: folder of the run, or None.
        report: folder of an existing report, or None.
    """

    name: str
    record: Record
    committed: str | None
    folder: Path | None
    report: Path | None

    @property
    def address(self) -> str:
        """Address relative to the root of the site."""
        return f"runs/{self.name}/index.html"

    @property
    def has_report(self) -> bool:
        """Whether the page shows a report, which exists or can be drawn."""
        return self.report is not None or self.folder is not None


def find_runs(records: Mapping[str, Record], runs: Path | None, reports: Path) -> list[RunPage]:
    """Find the runs of the leaderboard, then other finished runs, both sorted by name.

    A run folder belongs to a record with exactly the same result: settings, data, seed and all scores.

    Args:
        records: records of the leaderboard, by file name.
        runs: folder with finished runs at any depth, or None.
        reports: folder with committed reports of records.
    """
    folders = {} if runs is None else {_identity(r): (path, r) for path, r in _finished(runs)}
    found = []
    for file, record in sorted(records.items()):
        name = file.removesuffix(".json")
        folder = folders.pop(_identity(record), (None, record))[0]
        report = next((at for at in (_made(folder), reports / name) if at and (at / REPORT).exists()), None)
        found.append(RunPage(name, record, file, folder, report))
    for path, record in sorted(folders.values(), key=lambda pair: pair[0].as_posix()):
        place = path.relative_to(runs or path).as_posix().replace("/", "-")
        report = _made(path) if (path / "report" / REPORT).exists() else None
        found.append(RunPage(f"local/{place}", record, None, path, report))
    return found


def read_report(folder: Path) -> dict[str, Any]:
    """Read the report of a run.

    Raises:
        UsageError: it is damaged, or a file that it names.
    """
    content = read_json(folder / REPORT)
    if DIGEST in content or FILES in content:  # older reports have none
        content = read_sealed_json(folder / REPORT, "write it again")
    try:
        check_files(folder, content)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that another command of the suite wrote.

    Raises:
        UsageError: the file is damaged or has another schema version.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not readable ({error!r}); write it again") from error
    if schema != 1:
        raise UsageError(f"{path}: schema version {schema} is not 1; write it again with this version of USVI-Bench")
    return content


def _finished(runs: Path) -> list[tuple[Path, Record]]:
    """Find finished runs, without runs of ablations."""
    found = [(path.parent, read_record(path)) for path in sorted(runs.rglob("record.json"))]
    return [(folder, record) for folder, record in found if not record.provenance.get("ablation")]


def _made(folder: Path | None) -> Path | None:
    return None if folder is None else folder / "report"


def _identity(record: Record) -> str:
    return json.dumps(asdict(record.result), sort_keys=True)
