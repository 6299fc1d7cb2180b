"""Sources of reports: records and the folders of their runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.journal import Journal
from usvi_bench.core.options import explain_missing_path
from usvi_bench.core.record import Record, read_record
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.evaluation_file import SavedEvaluation, load_evaluation
from usvi_bench.protocols.query_file import load_query_scores
from usvi_bench.reports.curves import Line, epochs_of

RECORD = "record.json"


@dataclass(frozen=True)
class RecordedRun:
    """Recorded run: a record and the files next to it; missing files give empty values or None.

    Attributes:
        name: folder name, unique among the runs of a report.
        record: scores and provenance.
        folder: folder of the run; None if only the record is available.
    """

    name: str
    record: Record
    folder: Path | None

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
        """Lines of the journal.

        Raises:
            DamagedFileError: the journal is not the one that the record names.
        """
        path, end = self._path("journal.jsonl"), self.record.journal_end
        if path is None:
            return []
        return Journal(path).read() if end is None else Journal(path).read_all(end)

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
        return load_evaluation(path) if path else None

    @cached_property
    def queries(self) -> dict[int, QueryScores] | None:
        """Scores of all queries by fold."""
        path = self._path("queries.npz")
        return load_query_scores(path) if path else None

    def _path(self, name: str) -> Path | None:
        path = None if self.folder is None else self.folder / name
        return path if path is not None and path.exists() else None


def find_recorded_runs(paths: Sequence[Path]) -> list[RecordedRun]:
    """Find runs and records at paths: the folder of a run, a record file, or a folder with any number of these.

    Raises:
        UsageError: a path does not exist, has no record, or a file is not a valid record.
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
        for file in files:
            if file.resolve() not in found:
                run = _recorded_run(file, {other.name for other in found.values()})
                found[file.resolve()] = run
    return list(found.values())


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif (path / RECORD).is_file():
        yield path / RECORD
    else:
        yield from sorted(path.rglob(RECORD)) or sorted(path.rglob("*.json"))


def _recorded_run(file: Path, taken: set[str]) -> RecordedRun:
    record = read_record(file)
    folder = file.resolve().parent if file.name == RECORD else None
    stem = folder.name if folder is not None else file.stem
    name = stem if stem not in taken else f"{record.result.protocol}-{stem}"
    number = 2
    while name in taken:
        name, number = f"{record.result.protocol}-{stem}-{number}", number + 1
    return RecordedRun(name, record, folder)
