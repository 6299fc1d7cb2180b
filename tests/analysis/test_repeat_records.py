"""Selection of the records to repeat, and differences between results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.leaderboard.records import consistent, make_record
from usvi_bench.analysis.repeat_records import Repeat, main
from usvi_bench.core.record import Record, write_record
from usvi_bench.leaderboard.build import load_every_record
from usvi_bench.leaderboard.repeats import read_repeats, repeated


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    for seed in range(5):
        write_record(tmp_path / "records" / "sysu_all" / f"pgm-seed{seed}.json", consistent(make_record("pgm", seed)))
    return ["--records", str(tmp_path / "records"), "--output", str(tmp_path / "again")]


def test_equal_results_are_equal_wherever_they_were_made(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[int] = []

    def again(record: Record, folder: Path) -> Record:
        drawn.append(record.result.seed)
        assert not folder.exists()
        return replace(record, provenance={**record.provenance, "commit": "another"})

    assert main([*arguments, "--seed", "1"], again) == 0
    assert len(set(drawn)) == 3
    assert capsys.readouterr().out.count("equal, mAP ") == 3
    first = [*drawn]
    main([*arguments, "--seed", "1"], again)
    assert drawn[3:] == first
    main([*arguments, "--seed", "2"], again)
    assert drawn[6:] != first


def one_score_moved_by(step: float) -> Repeat:
    def again(record: Record, folder: Path) -> Record:
        scores = [*record.result.scores]
        scores[1] = replace(scores[1], metrics={**scores[1].metrics, "R5": scores[1].metrics["R5"] + step})
        return replace(record, result=replace(record.result, scores=scores))

    return again


def test_one_score_counts_from_the_tolerance_on(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--count", "1"], one_score_moved_by(1.1e-9)) == 1
    assert "student, fold 1, trial 1: metrics.R5 " in capsys.readouterr().out
    assert main([*arguments, "--count", "1"], one_score_moved_by(-0.9e-9)) == 0


@pytest.mark.parametrize(("chance", "status"), [(0.9e-9, 0), (1.1e-9, 1), (None, 1)])
def test_chance_counts_too(arguments: list[str], chance: float | None, status: int) -> None:
    def again(record: Record, folder: Path) -> Record:
        figures = dict(record.result.chance)
        figures |= {"mAP": figures["mAP"] + (chance or 0.0)}
        if chance is None:
            del figures["mAP"]
        return replace(record, result=replace(record.result, chance=figures))

    assert main([*arguments, "--count", "1"], again) == status


@pytest.mark.parametrize(("setting", "status"), [("newer", 0), ("epochs", 1)])
def test_settings_newer_than_a_record_are_left_to_its_hash(arguments: list[str], setting: str, status: int) -> None:
    def again(record: Record, folder: Path) -> Record:
        config = {**record.result.config, "train": {**record.result.config["train"], setting: 99}}
        return replace(record, result=replace(record.result, config=config))

    assert main([*arguments, "--count", "1"], again) == status


def test_other_data_count_and_so_do_missing_scores(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def again(record: Record, folder: Path) -> Record:
        data = {**record.result.dataset, "fingerprint": "other"}
        return replace(record, result=replace(record.result, dataset=data, scores=record.result.scores[:1]))

    assert main([*arguments, "--count", "5"], again) == 1
    out = capsys.readouterr().out
    assert out.count("dataset: ") == out.count("scores: 10 became 1") == 5


def test_no_finished_training_is_reused(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    with pytest.raises(SystemExit, match="choose a new folder"):
        main(arguments)
    write_record(tmp_path / "records" / "real.json", make_record("pgm", 0, real=True))
    write_record(tmp_path / "records" / "incomplete.json", make_record("pgm", 9, trials=5))
    with pytest.raises(SystemExit, match="has 5 complete records"):
        main([*arguments[:2], "--output", str(tmp_path / "new"), "--count", "6"])


def test_people_of_an_older_generator_are_not_repeated(arguments: list[str], tmp_path: Path) -> None:
    older = consistent(make_record("pgm", 7))
    note = {**(older.result.dataset["synthetic"] or {}), "generator_version": 1}
    older = replace(older, result=replace(older.result, dataset={**older.result.dataset, "synthetic": note}))
    write_record(tmp_path / "records" / "older.json", older)
    with pytest.raises(SystemExit, match=r"--record older\.json: an older version of the generator"):
        main([*arguments, "--record", "older.json"])
    with pytest.raises(SystemExit, match="has 5 complete records of runs on synthetic people of this version"):
        main([*arguments, "--count", "6"])


def test_named_records_are_repeated_and_noted(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "sysu_all/pgm-seed2.json"

    def again(record: Record, folder: Path) -> Record:
        assert record.result.seed == 2
        return replace(record, provenance={**record.provenance, "finished": "2026-02-02T00:00:00+00:00"})

    assert main([*arguments, "--record", name, "--note"], again) == 0
    assert f"  equal: {tmp_path / 'repeats' / name}" in capsys.readouterr().out
    records = load_every_record(tmp_path / "records")
    assert repeated(records, read_repeats(tmp_path / "records", records)) == {name: "equal"}
    assert main([*arguments, "--record", name], again) == 0
    with pytest.raises(SystemExit, match=r"--record pgm-seed2\.json: did you mean|known"):
        main([*arguments, "--record", "pgm-seed2.json"], again)


def test_a_record_that_is_not_consistent_is_not_run(arguments: list[str], tmp_path: Path) -> None:
    """Its schedule could name any file to execute."""
    record = consistent(make_record("pgm", 7))
    overrides = {"settings": {}, "schedule": "/tmp/evil"}
    write_record(
        tmp_path / "records" / "outside" / "a.json",
        replace(record, provenance={**record.provenance, "overrides": overrides}),  # type: ignore[typeddict-item]
    )

    def again(record: Record, folder: Path) -> Record:
        raise AssertionError("was run")

    with pytest.raises(SystemExit, match="is not a schedule"):
        main([*arguments, "--record", "outside/a.json"], again)
