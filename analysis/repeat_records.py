"""Repetition of committed records: randomly selected runs are trained again and compared.

``python -m analysis.repeat_records [--count 3] [--seed 0] [--records leaderboard/records] [--output runs/repeated]``
selects complete runs on synthetic people and trains each in an empty folder, so that no finished training is reused.
``--record NAME`` selects records by their path below ``--records`` instead. ``--note`` adds each repeat to the note of
its record (:mod:`usvi_bench.leaderboard.repeats`), whatever the outcome; the code must have no uncommitted changes.

The exit status is 1 if a score differs by more than 1e-9, or if another part of a record's ``result`` differs. Older
records were averaged in another order, which changes their last digits. A result depends on the type of processor and
on the number of threads. The record states both; the repetition uses its number of threads.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.revision import ROOT, find_revision
from usvi_bench.core.settings import current_names, flatten
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.engine.start_weights import SHIPPED
from usvi_bench.leaderboard.build import FOLDER, load_every_record
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.leaderboard.external_table import trained
from usvi_bench.leaderboard.repeats import TOLERANCE, add_repeat, outcome, repeat_of, spread_of
from usvi_bench.synthetic import GENERATOR_VERSIONS

Repeat = Callable[[Record, Path], Record]
"""Function that repeats the run of a record in an empty folder and returns the new record."""


def repeat(record: Record, folder: Path) -> Record:
    """Repeat a run with the current code, in a separate process, which receives values and no command line.

    Raises:
        RuntimeError: the run failed, used a plug-in, or started from weights that are not shipped with the suite.
    """
    experiment = replace(recorded_experiment(record), output=folder)
    if record.plugins:
        raise RuntimeError(f"the run used plug-ins, whose code is not run here: {record.plugins[0]['name']!r:.60}")
    if experiment.weights != "random" and not Path(experiment.weights or "").is_relative_to(SHIPPED):
        raise RuntimeError(f"the run started from weights that are not shipped: {experiment.weights!r:.60}")
    finished = subprocess.run(
        [sys.executable, "-m", "analysis.repeat_run"],
        cwd=ROOT,
        input=json.dumps(experiment.to_json()),
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise RuntimeError(f"{record.result.method}, seed {record.result.seed} failed:\n{finished.stderr}")
    (path,) = (folder / record.result.protocol).glob("*/record.json")
    return read_record(path)


def differences(old: Record, new: Record) -> Iterator[str]:
    """Describe the fields and the scores of two results that differ, with both values."""
    mine, theirs = asdict(old.result), asdict(new.result)
    for name in mine:
        if name not in ("scores", "chance", "config") and mine[name] != theirs[name]:
            yield f"{name}: {mine[name]} became {theirs[name]}"
    yield from (f"chance: {change}" for change in _changes(mine["chance"], theirs["chance"]))
    settings, now = (flatten(current_names(result["config"])) for result in (mine, theirs))
    now = {name: value for name, value in now.items() if name in settings}  # config_hash covers newer settings
    yield from (f"config: {change}" for change in _changes(settings, now))
    if len(mine["scores"]) != len(theirs["scores"]):
        yield f"scores: {len(mine['scores'])} became {len(theirs['scores'])}"
    for before, after in zip(mine["scores"], theirs["scores"], strict=False):
        changed = _changes(flatten(before), flatten(after))
        if changed:
            where = f"{before['model']}, fold {before['fold']}, trial {before['trial']}"
            yield f"scores of {where}: {', '.join(changed)}"


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    def differ(one: object, other: object) -> bool:
        if isinstance(one, float) and isinstance(other, float):
            return not abs(one - other) <= TOLERANCE
        return one != other

    names = [*old, *(name for name in new if name not in old)]
    pairs = [(name, old.get(name), new.get(name)) for name in names]
    return [f"{name} {one!r} became {other!r}" for name, one, other in pairs if differ(one, other)]


def main(arguments: Sequence[str] | None = None, again: Repeat = repeat) -> int:
    """Select, repeat and compare records; ``again`` repeats one run."""
    parser = argparse.ArgumentParser(prog="python -m analysis.repeat_records", description=__doc__)
    parser.add_argument("--count", type=int, default=3, help="number of records")
    parser.add_argument("--seed", type=int, default=0, help="seed of the selection")
    parser.add_argument("--records", type=Path, default=FOLDER / "records")
    parser.add_argument("--output", type=Path, default=Path("runs/repeated"), help="new folder for the runs")
    parser.add_argument("--record", action="append", default=[], metavar="NAME", help="record to repeat; repeatable")
    parser.add_argument("--note", action="store_true", help="write the outcome to the notes of the records")
    options = parser.parse_args(arguments)
    if options.output.exists():
        raise SystemExit(f"--output {options.output} exists: its trainings would be reused; choose a new folder")
    if options.note and find_revision()[1]:
        raise SystemExit("--note: the code has uncommitted changes, which a note does not accept; commit them first")
    try:
        every = load_every_record(options.records)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    status = 0
    for i, name in enumerate(_selected(every, options)):
        old = every[name]
        if found := faults(old):
            raise SystemExit(f"{name} is not consistent: {'; '.join(found)}")
        new = again(old, options.output.resolve() / str(i))
        changes = list(differences(old, new))
        means = " and ".join(f"{100 * _mean(record):.4f}" for record in (old, new))
        print(f"{name}: {'differs' if changes else 'equal'}, mAP {means}", *changes, sep="\n  ", flush=True)
        status |= bool(changes)
        if options.note:
            note = add_repeat(options.records, name, old, repeat_of(new))
            print(f"  {outcome(old, new.result.scores, spread_of(old, every))}: {note}", flush=True)
    return status


def _selected(every: Mapping[str, Record], options: argparse.Namespace) -> list[str]:
    """Return the records to repeat: those that are named, else a random sample."""
    if options.record:
        for name in options.record:
            if name not in every:
                raise SystemExit(f"--record {name}: {did_you_mean(name, every)}")
            if every[name].result.external is not None:
                raise SystemExit(f"--record {name}: an external model was not trained; score its file with evaluate")
            if not every[name].result.dataset["synthetic"]:
                raise SystemExit(f"--record {name}: its images are real; run the command of its report on them")
            if not _of_today(every[name]):
                raise SystemExit(f"--record {name}: an older version of the generator made its people; use its commit")
        return list(dict.fromkeys(options.record))
    known = trained(every).items()
    names = sorted(n for n, record in known if _of_today(record) and record.complete)
    if not 1 <= options.count <= len(names):
        have = f"{len(names)} complete records of runs on synthetic people of this version"
        raise SystemExit(f"--count {options.count}: {options.records} has {have}")
    return random.Random(options.seed).sample(names, options.count)


def _of_today(record: Record) -> bool:
    """Return whether the present version of the generator made the people of a record."""
    data = record.result.dataset
    return (data["synthetic"] or {}).get("generator_version") == GENERATOR_VERSIONS.get(data["name"], 0)


def _mean(record: Record) -> float:
    return record.means()["mAP"]


if __name__ == "__main__":
    sys.exit(main())
