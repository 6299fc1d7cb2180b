"""Sources of reports: records and the folders of their runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import file_name
from usvi_bench.core.options import explain_missing_path
from usvi_bench.core.record import Record
from usvi_bench.leaderboard.sidecar_faults import sidecar_faults
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.evaluation_file import SavedEvaluation
from usvi_bench.protocols.sidecar import read_sidecar, sidecar_path
from usvi_bench.reports.check_lines import check_lines
from usvi_bench.reports.curves import Line, epochs_of
from usvi_bench.reports.output import unused
from usvi_bench.reports.run_files import read_evaluation, read_journal, read_queries, read_regular_record

RECORD = "record.json"


@dataclass(frozen=True)
class RecordedRun:
    """Recorded run: a record and the files next to it; missing files give empty values or None.

    Attributes:
        name: folder name, unique among the runs of a report.
        record: scores and provenance.
        folder: folder of the run; None if only the record is available.
        file: file of the record, which the results of its queries may be beside.
        origin: where the record is from, if runs of other origins are not seeds of the same row: ``leaderboard``.
    """

    name: str
    record: Record
    folder: Path | None
    file: Path | None = None
    origin: str = ""

    @property
    def label(self) -> str:
        """Method and seed."""
        return f"{self.record.result.method}, seed {self.record.result.seed}"

    @property
    def words(self) -> str:
        """Description of the run in the footers of figures."""
        result = self.record.result
        return f"{result.method}, {result.protocol}{'' if result.dataset['synthetic'] is None else ' (synthetic)'}"

    @cached_property
    def journal(self) -> list[Line]:
        """Lines of the journal."""
        path = self._path("journal.jsonl")
        return check_lines(read_journal(path, self.record), path) if path else []

    @cached_property
    def epochs(self) -> list[Line]:
        """Epochs of the first fold."""
        folds = self.folds
        return epochs_of(self.journal, folds[0]) if folds else []

    @property
    def folds(self) -> list[int]:
        """Trained folds."""
        return sorted({line["fold"] for line in self.journal if line["kind"] == "epoch"})

    @cached_property
    def evaluation(self) -> SavedEvaluation | None:
        """Ranked lists and features of the first fold."""
        path = self._path("evaluation.npz")
        return read_evaluation(path) if path else None

    @cached_property
    def queries(self) -> dict[int, QueryScores] | None:
        """Scores of all queries by fold, from the folder of the run, else from the file beside the record."""
        path = self._path("queries.npz")
        return read_queries(path, self.record) if path else self._sidecar

    @property
    def _sidecar(self) -> dict[int, QueryScores] | None:
        note = self.record.result.queries
        if self.file is None or note is None or not (path := sidecar_path(self.file)).exists():
            return None
        if found := sidecar_faults(self.file, self.record):
            raise UsageError(f"{path}: {found[0].removeprefix(f'result.queries: {path.name}: ')}")
        return read_sidecar(path, note, self.record.result.trials)

    def read(self) -> None:
        """Read all files of the run.

        Raises:
            UsageError: a file is damaged or of another run.
        """
        _ = self.epochs, self.evaluation, self.queries

    @property
    def draws(self) -> str | None:
        """Digest of the queries and galleries; None in older records."""
        note = self.record.result.queries
        return None if note is None else note["draws"]

    def _path(self, name: str) -> Path | None:
        path = None if self.folder is None else self.folder / name
        return path if path is not None and (path.exists() or path.is_symlink()) else None


def find_recorded_runs(paths: Sequence[Path]) -> list[RecordedRun]:
    """Find runs and records at paths: the folder of a run, a record file, or a folder with any number of these.

    Raises:
        UsageError: a path does not exist, has no record, or a file is not a valid record of a training.
    """
    found: dict[Path, RecordedRun] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: {explain_missing_path(path)}")
        files = list(_files(path))
        if not files:
            raise UsageError(
                f"{path}: no {RECORD} and no record below it; give the folder of a finished run or a record"
            )
        records = {file: read_regular_record(file) for file in files}
        own = {file: record for file, record in records.items() if record.result.external is None}
        alone = {file: record for file, record in own.items() if "ablation" not in record.provenance}
        # external models and runs of grids are left out if the folder has others
        for file, record in (alone or own or records).items():
            place = Path(os.path.realpath(file))  # unlike resolve, without an error for a loop of links
            if place not in found:
                found[place] = _recorded_run(file, record, {other.name for other in found.values()})
    return list(found.values())


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif (path / RECORD).is_file():
        yield path / RECORD
    else:
        yield from sorted(path.rglob(RECORD)) or sorted(path.rglob("*.json"))


def _recorded_run(file: Path, record: Record, taken: set[str]) -> RecordedRun:
    if record.result.external is not None:
        raise UsageError(
            f"{file}: the record of an external model, which has no report and is not compared; leave it out. "
            "leaderboard/LEADERBOARD.md has a table of external models, leaderboard/PUBLISHED.md the published figures"
        )
    folder = file.parent.resolve() if file.name == RECORD else None  # not that of a linked record
    stem = folder.name if folder is not None else file.stem
    name = stem if stem not in taken else unused(f"{file_name(record.result.protocol)}-{stem}", taken)
    return RecordedRun(name, record, folder, file)
