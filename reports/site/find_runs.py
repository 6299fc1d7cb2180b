"""What the site is made from: records, the reports that belong to them, and finished runs on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record

REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page about a run, and what it is made from.

    Attributes:
        name: its address on the site, for example ``sysu_all/adca-seed0``.
        record: what it scored.
        committed: file name of its record in the leaderboard, or None where it is known on this machine only.
        folder: its run folder, or None.
        report: folder of a report that was made of it, or None.
    """

    name: str
    record: Record
    committed: str | None
    folder: Path | None
    report: Path | None

    @property
    def address(self) -> str:
        """Relative to the root of the site."""
        return f"runs/{self.name}/index.html"

    @property
    def has_report(self) -> bool:
        """Whether its page shows a report: one that was made, or one that can be."""
        return self.report is not None or self.folder is not None


def find_runs(records: Mapping[str, Record], runs: Path | None, reports: Path) -> list[RunPage]:
    """The leaderboard's runs, then those of ``runs`` that it does not have, both by name.

    A run folder belongs to a record that has the very same result: settings, data, seed and every score.

    Args:
        records: the leaderboard's, by file name.
        runs: folder of finished runs, at any depth, or None.
        reports: folder that keeps reports of the leaderboard's records.
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


def read_json(path: Path) -> dict[str, Any]:
    """A file that another command of this suite has written.

    Raises:
        UsageError: it is damaged, or of a version that this code does not know.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not readable ({error!r}); make it again") from error
    if schema != 1:
        raise UsageError(f"{path}: version {schema} is not 1; make it again with this version of USVI-Bench")
    return content


def _finished(runs: Path) -> list[tuple[Path, Record]]:
    """All but the rows of ablations, which their own table shows."""
    found = [(path.parent, read_record(path)) for path in sorted(runs.rglob("record.json"))]
    return [(folder, record) for folder, record in found if not record.provenance.get("ablation")]


def _made(folder: Path | None) -> Path | None:
    return None if folder is None else folder / "report"


def _identity(record: Record) -> str:
    return json.dumps(asdict(record.result), sort_keys=True)
