"""Repeats of records: notes of runs that were made again elsewhere, and what they show.

A record is *consistent* if nothing in it contradicts anything else (:mod:`usvi_bench.leaderboard.consistency`). It is
*repeated* if somebody else has made the run again with one of two outcomes:

* ``equal``: every score of every trial is the same, to the rounding of a mean; usual on the same type of processor.
* ``within the spread``: Rank-1 and mAP, mean over folds and trials, differ by at most three standard deviations over
  the seeds of the same entry. If the entry has fewer than three seeds made by this project, the largest standard
  deviation of any entry of the table that has three is used. Without one, only ``equal`` counts.

The note of ``records/NAME.json`` is ``repeats/NAME.json``. It has the digest of the record, and scores and environment
of each repeat. The outcome is computed whenever the note is read. A note cannot prove that the run was made, so it is
written by a maintainer and never taken from the author of the record.

Records in ``records/outside`` come from outside. They are ranked only with a note. The folder decides, not the record.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict, cast

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record, record_digest
from usvi_bench.core.result import KIND, Score, mean_metrics
from usvi_bench.core.sealed import read_sealed_json, write_sealed_json
from usvi_bench.core.typed import convert
from usvi_bench.leaderboard.plugin_words import plugin_words
from usvi_bench.leaderboard.score_table import table_key

OUTSIDE = "outside"
"""Folder of the records that come from outside, in the folder of all records."""
REPEATS = "repeats"
"""Folder of the notes, next to the folder of all records."""
EQUAL, WITHIN, DIFFERS = "equal", "within the spread", "differs"
TOLERANCE = 1e-9
"""Largest difference of a score that counts as none."""
COMPARED = ("R1", "mAP")
"""Metrics whose means are compared with the spread."""
DEVIATIONS = 3
"""Number of standard deviations over seeds that a mean may differ by."""
SEEDS = 3
"""Least number of seeds of a standard deviation."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Repeat of a run: environment and scores. ``finished`` is in UTC, ISO 8601."""

    commit: str | None
    dirty: bool
    cpu: str
    gpu: str | None
    torch: str
    threads: int
    finished: str
    scores: list[Score]

    @property
    def place(self) -> str:
        """Processor or GPU, and version of torch."""
        return f"{self.gpu or self.cpu}, torch {self.torch}"


class _Note(TypedDict):
    record: str
    repeats: list[Repeat]


def is_outside(name: str) -> bool:
    """Return whether a record comes from outside, by its path in the folder of records."""
    return name.partition("/")[0] == OUTSIDE


def repeat_of(record: Record) -> Repeat:
    """Return what a note keeps of the record of a repetition."""
    made = record.provenance
    return Repeat(
        commit=made["commit"],
        dirty=made["dirty"],
        cpu=made["cpu"],
        gpu=made["gpu"],
        torch=str(made["environment"].get("torch")),
        threads=made["threads"],
        finished=made["finished"],
        scores=record.result.scores,
    )


def add_repeat(records: Path, name: str, record: Record, repeat: Repeat) -> Path:
    """Add a repeat to the note of a record, and return the path of the note.

    Args:
        records: folder of all records.
        name: path of the record in it.
        record: the record.
        repeat: what the repetition gave.
    """
    path = records.parent / REPEATS / name
    known = _read(path, name, record) if path.exists() else []
    content = {"record": record_digest(record), "repeats": [asdict(each) for each in (*known, repeat)]}
    write_sealed_json(path, content)
    return path


def read_repeats(records: Path, found: Mapping[str, Record]) -> dict[str, list[Repeat]]:
    """Read the notes of all records, by the path of the record.

    Raises:
        UsageError: a note is damaged, or belongs to no record or to another content of it.
    """
    folder, notes = records.parent / REPEATS, {}
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if name not in found:
            raise UsageError(f"{path}: there is no record {name}; remove the note")
        notes[name] = _read(path, name, found[name])
    return notes


def _read(path: Path, name: str, record: Record) -> list[Repeat]:
    content = read_sealed_json(path, "repeat the run again")
    try:
        note = cast(_Note, convert(_Note, content, ""))
    except ValueError as error:
        raise UsageError(f"{path}: {error}; repeat the run again") from error
    if note["record"] != record_digest(record):
        raise UsageError(f"{path}: the note belongs to an earlier {name} with another content; repeat the run again")
    for repeat in note["repeats"]:
        if repeat.finished == record.provenance["finished"]:
            raise UsageError(f"{path}: a repeat ended in the same second as the run itself; repeat the run again")
        if repeat.dirty or repeat.commit is None:
            raise UsageError(f"{path}: a repeat was made from a tree with uncommitted changes; repeat the run again")
        if not all(set(METRICS) <= set(score.metrics) for score in repeat.scores):
            raise UsageError(f"{path}: a score lacks a metric; repeat the run again")
    return note["repeats"]


def outcome(record: Record, scores: Sequence[Score], spread: Mapping[str, float]) -> str:
    """Compare the scores of a repetition with those of a record.

    Args:
        record: the record.
        scores: all scores of the repetition.
        spread: standard deviation over seeds, by metric; empty if it is unknown.
    """
    mine, theirs = _by_place(record.result.scores), _by_place(scores)
    if set(mine) != set(theirs):
        return DIFFERS
    if all(abs(mine[key][name] - theirs[key].get(name, -1.0)) <= TOLERANCE for key in mine for name in mine[key]):
        return EQUAL
    means = mean_metrics([score for score in scores if record.result.headline.items() >= _kind(score).items()])
    usual = record.means()
    if not means or any(name not in spread for name in COMPARED):
        return DIFFERS
    close = all(abs(means[name] - usual[name]) <= DEVIATIONS * spread[name] for name in COMPARED)
    return WITHIN if close else DIFFERS


def _kind(score: Score) -> dict[str, object]:
    return {name: getattr(score, name) for name in KIND}


def _by_place(scores: Iterable[Score]) -> dict[tuple[object, ...], dict[str, float]]:
    return {(*(getattr(score, name) for name in KIND), score.fold, score.trial): score.metrics for score in scores}


def spread_of(record: Record, records: Mapping[str, Record]) -> dict[str, float]:
    """Return the standard deviation of Rank-1 and mAP over seeds that a repetition is compared with; empty if unknown.

    Args:
        record: record that was repeated.
        records: all records by path; those from outside are left out.
    """
    table: dict[str, list[Record]] = {}
    for name, other in records.items():
        if not is_outside(name) and other.complete and table_key(other) == table_key(record):
            table.setdefault(_entry(other), []).append(other)
    spreads = {
        entry: {metric: statistics.stdev(one.means()[metric] for one in group) for metric in COMPARED}
        for entry, group in table.items()
        if len(group) >= SEEDS
    }
    if own := spreads.get(_entry(record)):
        return own
    return {metric: max(each[metric] for each in spreads.values()) for metric in COMPARED} if spreads else {}


def _entry(record: Record) -> str:
    return json.dumps([record.result.method, record.result.config_hash, plugin_words(record)])


def repeated(records: Mapping[str, Record], notes: Mapping[str, Sequence[Repeat]]) -> dict[str, str]:
    """Return the best outcome of each record that was repeated, by its path; without records that only differed."""
    found = {}
    for name, repeats in notes.items():
        spread = spread_of(records[name], records)
        outcomes = {outcome(records[name], repeat.scores, spread) for repeat in repeats}
        best = next((each for each in (EQUAL, WITHIN) if each in outcomes), None)
        if best:
            found[name] = best
    return found


def waiting(records: Iterable[str], known: Mapping[str, str]) -> list[str]:
    """List the records from outside that have not been repeated."""
    return [name for name in records if is_outside(name) and name not in known]
