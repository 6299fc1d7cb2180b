"""Notes of repeats: outcomes, faulty notes, and records from outside that are ranked only with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.records import consistent, make_record
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import RERANKED
from usvi_bench.core.record import Record, write_record
from usvi_bench.core.sealed import read_sealed_json, write_sealed_json
from usvi_bench.leaderboard.__main__ import main
from usvi_bench.leaderboard.build import build, load_every_record, load_records
from usvi_bench.leaderboard.repeats import (
    DIFFERS,
    EQUAL,
    WITHIN,
    add_repeat,
    outcome,
    read_repeats,
    repeat_of,
    repeated,
    spread_of,
)

LATER = "2026-02-02T00:00:00+00:00"


def again(record: Record, step: float = 0.0, **provenance: Any) -> Record:
    """Make the record of a repetition whose Rank-1 and mAP are higher by a step."""
    scores = [
        replace(score, metrics={**score.metrics, **{name: score.metrics[name] + step for name in ("R1", "mAP")}})
        for score in record.result.scores
    ]
    made = {**record.provenance, "finished": LATER, "cpu": "another", **provenance}
    return replace(record, result=replace(record.result, scores=scores), provenance=made)  # type: ignore[arg-type]


def seeds(method: str, means: list[float]) -> dict[str, Record]:
    return {f"{method}-{i}.json": make_record(method, i, [mean]) for i, mean in enumerate(means)}


@pytest.mark.parametrize(
    ("step", "expected"), [(0.0, EQUAL), (0.9e-9, EQUAL), (0.0299, WITHIN), (-0.0299, WITHIN), (0.0301, DIFFERS)]
)
def test_an_outcome_depends_on_the_spread_of_the_entry(step: float, expected: str) -> None:
    records = seeds("hil", [0.40, 0.41, 0.42])
    record = records["hil-0.json"]
    spread = spread_of(record, records)
    assert spread == pytest.approx({"R1": 0.01, "mAP": 0.01})
    assert outcome(record, again(record, step).result.scores, spread) == expected


def test_one_differing_metric_is_not_made_good_by_another() -> None:
    records = seeds("hil", [0.40, 0.41, 0.42])
    record = records["hil-0.json"]
    (score,) = record.result.scores
    moved = replace(score, metrics={**score.metrics, "mAP": score.metrics["mAP"] + 0.05})
    assert outcome(record, [moved], spread_of(record, records)) == DIFFERS


@pytest.mark.parametrize(("step", "expected"), [(0.01, WITHIN), (-0.2, DIFFERS)])
def test_reranked_scores_do_not_make_good_for_the_headline(step: float, expected: str) -> None:
    records = seeds("hil", [0.40, 0.41, 0.42])
    record = records["hil-0.json"]
    (score,) = record.result.scores
    other = replace(score, feature=f"{score.feature}{RERANKED}", metrics={n: v + 0.2 for n, v in score.metrics.items()})
    record = replace(record, result=replace(record.result, scores=[score, other]))
    (moved,) = again(replace(record, result=replace(record.result, scores=[score])), step).result.scores
    opposite = replace(other, metrics={name: value - step for name, value in other.metrics.items()})
    assert outcome(record, [moved, opposite], {"R1": 0.01, "mAP": 0.01}) == expected


def test_other_trials_are_another_run() -> None:
    records = seeds("hil", [0.40, 0.41, 0.42])
    record = records["hil-0.json"]
    (score,) = record.result.scores
    assert outcome(record, [score, replace(score, trial=1)], spread_of(record, records)) == DIFFERS
    assert outcome(record, [], spread_of(record, records)) == DIFFERS


def test_a_new_entry_is_compared_with_the_largest_spread_of_our_entries() -> None:
    ours = {**seeds("hil", [0.40, 0.41, 0.42]), **seeds("pgm", [0.40, 0.42, 0.44]), **seeds("adca", [0.1, 0.9])}
    wild = {f"outside/{name}": record for name, record in seeds("dmic", [0.1, 0.5, 0.9]).items()}
    record = wild["outside/dmic-0.json"]
    assert spread_of(record, {**ours, **wild}) == pytest.approx({"R1": 0.02, "mAP": 0.02}), "outside seeds do not count"
    assert spread_of(record, wild) == {}
    assert outcome(record, again(record, 0.001).result.scores, {}) == DIFFERS
    assert outcome(record, again(record).result.scores, {}) == EQUAL
    other = make_record("dmic", 0, [0.5], protocol="sysu_indoor")
    assert spread_of(other, {**ours, **wild}) == {}, "another table"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Make a folder of three seeds of ours and a record from outside."""
    folder = tmp_path / "records"
    for seed in range(3):
        write_record(folder / f"hil-{seed}.json", consistent(make_record("hil", seed, [0.4 + 0.1 * seed])))
    write_record(folder / "outside" / "pgm.json", consistent(make_record("pgm", 0, [0.5])))
    return folder


def note(records: Path, name: str, step: float = 0.0, **provenance: Any) -> Path:
    record = load_every_record(records)[name]
    return add_repeat(records, name, record, repeat_of(again(record, step, **provenance)))


def outcomes(records: Path) -> Mapping[str, str]:
    found = load_every_record(records)
    return repeated(found, read_repeats(records, found))


def test_a_record_from_outside_waits_for_a_repeat(records: Path) -> None:
    output = records.parent
    run = ["--records", str(records), "--output", str(output)]
    assert main(run) == 0
    board = (output / "LEADERBOARD.md").read_text()
    waits = board.index("## Records from outside that wait for a repeat, not ranked")
    assert "outside/pgm.json" not in board[:waits]
    assert "[outside/pgm.json](records/outside/pgm.json): pgm, `sysu_all`, seed 0" in board[waits:]
    assert "outside/pgm.json" in (output / "RECORDS.md").read_text()
    assert "‡" not in board
    assert "outside/pgm.json" not in load_records(records)
    note(records, "outside/pgm.json", 0.9)
    assert main(run) == 0
    assert outcomes(records) == {}, "a repeat that differs does not count"
    assert "wait for a repeat" in (output / "LEADERBOARD.md").read_text()
    assert "| differs |" in (output / "RECORDS.md").read_text()
    note(records, "outside/pgm.json")
    assert main([*run, "--check"]) == 1, "the pages show the notes"
    assert main(run) == 0
    board = (output / "LEADERBOARD.md").read_text()
    assert "wait for a repeat" not in board
    assert "| [pgm]" in board or "| pgm ‡ |" in board
    assert "* ‡: at least one of the runs was repeated elsewhere" in board
    assert "| [outside/pgm.json](records/outside/pgm.json) | equal |" in (output / "RECORDS.md").read_text()
    assert "outside/pgm.json" in load_records(records)


def test_our_records_are_ranked_without_a_repeat_and_marked_with_one(records: Path) -> None:
    found = {name: record for name, record in load_every_record(records).items() if "outside" not in name}
    assert "‡" not in build(found)
    page = build(found, repeats={"hil-1.json"})
    (row,) = (line for line in page.splitlines() if line.startswith("| hil"))
    assert row.startswith("| hil ‡ | 3 |")


def test_the_record_cannot_choose_its_folder(records: Path) -> None:
    path = records / "outside" / "pgm.json"
    record = load_every_record(records)["outside/pgm.json"]
    claimed = {**record.provenance, "origin": "inside", "repeats": [{"outcome": "equal"}]}
    write_record(path, replace(record, provenance=claimed))  # type: ignore[arg-type]
    assert "outside/pgm.json" not in load_records(records)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record": "0" * 64}, "the note belongs to an earlier outside/pgm.json"),
        ({"repeats": [{}]}, r"repeats\[0\]\.commit: missing"),
        ({"repeats": 5}, "repeats: expected a list"),
    ],
)
def test_a_faulty_note_is_refused(records: Path, change: dict[str, Any], message: str) -> None:
    path = note(records, "outside/pgm.json")
    write_sealed_json(path, {**read_sealed_json(path, ""), **change})
    with pytest.raises(UsageError, match=message):
        load_records(records)


def test_an_edited_note_and_one_without_a_record_are_refused(records: Path) -> None:
    path = note(records, "outside/pgm.json", 0.9)
    text = path.read_text()
    path.write_text(text.replace('"another"', '"other"'))
    with pytest.raises(UsageError, match="does not match its digest"):
        load_records(records)
    path.write_text(text)
    (records / "outside" / "pgm.json").unlink()
    with pytest.raises(UsageError, match=r"there is no record outside/pgm\.json; remove the note"):
        load_records(records)


def test_a_changed_record_loses_its_note(records: Path) -> None:
    note(records, "outside/pgm.json")
    write_record(records / "outside" / "pgm.json", consistent(make_record("pgm", 0, [0.9])))
    with pytest.raises(UsageError, match="the note belongs to an earlier"):
        load_records(records)


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"dirty": True}, "a tree with uncommitted changes"),
        ({"commit": None}, "a tree with uncommitted changes"),
        ({"finished": "2026-01-01T01:00:00+00:00"}, "in the same second as the run itself"),
    ],
)
def test_a_run_from_unknown_code_or_the_run_itself_is_no_repeat(
    records: Path, provenance: dict[str, Any], message: str
) -> None:
    note(records, "outside/pgm.json", **provenance)
    with pytest.raises(UsageError, match=message):
        load_records(records)


def test_a_second_repeat_is_added(records: Path) -> None:
    note(records, "outside/pgm.json", 0.9)
    path = note(records, "outside/pgm.json", finished="2026-03-03T00:00:00+00:00")
    assert len(read_sealed_json(path, "")["repeats"]) == 2
    assert outcomes(records) == {"outside/pgm.json": EQUAL}
    record = load_every_record(records)["outside/pgm.json"]
    assert read_sealed_json(path, "")["repeats"][1]["scores"] == [asdict(score) for score in record.result.scores]
