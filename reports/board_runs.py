"""Runs of the leaderboard that a run is compared with: ``leaderboard:METHOD``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.options import explain_missing_path
from usvi_bench.core.record import Record
from usvi_bench.leaderboard.build import load_records
from usvi_bench.leaderboard.score_rows import ScoreRow, score_rows
from usvi_bench.leaderboard.score_table import TableKey, table_key
from usvi_bench.reports.groups import set_key
from usvi_bench.reports.output import unused
from usvi_bench.reports.runs import RecordedRun

ORIGIN = "leaderboard"
PREFIX = f"{ORIGIN}:"
Rows = dict[TableKey, list[ScoreRow]]


def board_runs(name: str, like: RecordedRun, folder: Path, taken: set[str]) -> list[RecordedRun]:
    """Return the runs of a row of the leaderboard, one for each seed.

    Rows of the table that the given run belongs to come first; a row of another setting or form is taken if there is
    none.

    Args:
        name: method, or the whole name of a row.
        like: run that they are compared with, which determines protocol, images and galleries.
        folder: folder of the leaderboard, with ``records``.
        taken: names of the other runs; those that are returned are added.

    Raises:
        UsageError: there is no such row, or several, or its records have no results of their queries.
    """
    records = comparable_records(folder / "records", like)
    groups: dict[TableKey, dict[str, Record]] = {}
    for file, record in records.items():
        groups.setdefault(table_key(record), {})[file] = record
    rows = {key: score_rows(group) for key, group in groups.items()}
    row = _row(name, rows, table_key(like.record))
    found = []
    for file in row.records:
        unique = unused(f"{ORIGIN}-{Path(file).stem}", taken)
        taken.add(unique)
        found.append(RecordedRun(unique, records[file], None, folder / "records" / file, ORIGIN))
    if lacking := [run for run in found if not run.queries]:
        seeds = ", ".join(str(run.record.result.seed) for run in lacking)
        method, protocol = row.method, like.record.result.protocol
        raise UsageError(
            f"{PREFIX}{show(name)}: its records (seed {seeds}) were made before the results of each query were kept, "
            f"so there is nothing to compare query by query; {_others(rows, records)}run it "
            f"(run.py --method {method} --protocol {protocol} --seed {lacking[0].record.result.seed}) and compare the "
            "folders"
        )
    return found


def comparable_records(folder: Path, like: RecordedRun) -> dict[str, Record]:
    """Return the ranked records that share protocol, images, galleries, folds and training images with a run.

    Raises:
        UsageError: there is no folder, or no such record.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{PREFIX} needs the records of a leaderboard, {folder}: {explain_missing_path(folder)}; give the folder "
            "'leaderboard' of a checkout with --leaderboard DIR"
        )
    every = load_records(folder)
    key = set_key(like.record)
    found = {
        name: record
        for name, record in every.items()
        if record.complete and record.result.external is None and set_key(record) == key
    }
    if not found:
        result = like.record.result
        same = any(record.result.dataset["fingerprint"] == key.fingerprint for record in every.values())
        why = f"with its protocol ({key.protocol}, {key.gallery} gallery)" if same else "of its images"
        raise UsageError(
            f"{like.name}: the leaderboard has no record {why}, {result.dataset['description']:.300}"
            f"{_versions(like, every)}; leaderboard/RECORDS.md lists what there is"
        )
    return found


def _versions(like: RecordedRun, every: Mapping[str, Record]) -> str:
    """Compare the generator versions of synthetic people with those of the records in their layout, in words."""
    own = like.record.result.dataset["synthetic"]
    notes = [record.result.dataset["synthetic"] for record in every.values()]
    known = {note["generator_version"] for note in notes if note and own and note["layout"] == own["layout"]}
    if own is None or not known or own["generator_version"] in known:
        return ""
    versions = ", ".join(map(str, sorted(known)))
    return f": these people are of generator version {own['generator_version']}, those of the records of {versions}"


def _row(name: str, rows: Rows, own: TableKey) -> ScoreRow:
    named = {key: [row for row in table if row.records] for key, table in rows.items()}
    for tables in ([own], [key for key in named if key != own]):
        found = [(key, row) for key in tables for row in named.get(key, ()) if name in (row.label, row.method)]
        exact = [(key, row) for key, row in found if row.label == name]
        chosen = exact if len(exact) == 1 else found
        if len(chosen) == 1:
            return chosen[0][1]
        if chosen:
            words = "; ".join(f"'{row.label}' ({key.setting} setting, {key.form} form)" for key, row in chosen)
            raise UsageError(f"{PREFIX}{show(name)}: {len(chosen)} rows have this name: {words}; give the whole name")
    names = sorted({each for table in named.values() for row in table for each in (row.method, row.label)})
    raise UsageError(f"{PREFIX}{show(name)}: no such row on these images: {did_you_mean(name, names)}")


def _others(rows: Rows, records: Mapping[str, Record]) -> str:
    """Name the rows that can be compared, as the start of a remedy; empty if there are none."""
    labels = sorted(
        {
            row.label
            for table in rows.values()
            for row in table
            if row.records and all(records[file].result.queries for file in row.records)
        }
    )
    return f"compare with {PREFIX}{f', {PREFIX}'.join(labels)}, or " if labels else ""
